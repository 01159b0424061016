#!/bin/bash
# tune_test.sh - the verb `tune`: fields, tuners, files it writes, bad input.  The small files in tune/ are made by tune/make.py.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
t=$here/tune
base=(--data "npz:$t/tiny.npz" --backend ref --sigma 0.08)

check() { # NAME COMMAND...: passes if the command does
    local name=$1; shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $name"; tail -n 3 "$tmp/out" "$tmp/err"; fi
}
run() { "$OHMTRIM" tune "$@" >"$tmp/out" 2>"$tmp/err"; }
# EXIT WORDS ARGS...: fails with this exit code and one sentence with these words; prints nothing on stdout
fails() {
    local code=$1 words=$2; shift 2
    run "$@"; local rc=$?
    [ "$rc" = "$code" ] && grep -qF -- "$words" "$tmp/err" && [ ! -s "$tmp/out" ]
}
field() { sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p" "$tmp/out"; }

all_tuners() {
    run "$t/tiny.onnx" "${base[@]}" --chip 2 --tuner exhaustive,subset,learned,closed-form,closed-form-adam --casebook "$t/book.npz" \
        --steps 20 --lr 0.02 --polish-steps 5 --json || return 1
    [ "$(wc -l <"$tmp/out")" = 5 ] || return 1
    for f in chip tuner accuracy_before accuracy_after gain offset images steps seconds; do
        [ "$(grep -c "\"$f\":" "$tmp/out")" = 5 ] || { echo "no field $f"; return 1; }
    done
    [ "$(field tuner | tr -d '"\n')" = exhaustivesubsetlearnedclosed-formclosed-form-adam ] &&
        [ "$(field images | tr '\n' ' ')" = "1200 120 2 60 360 " ] && [ "$(field steps | tr '\n' ' ')" = "20 20 0 0 5 " ]
}
same_twice() {
    run "$t/tiny.onnx" "${base[@]}" --chip 1 --steps 5 --tuner exhaustive --json && sed 's/"seconds":[^,}]*//' "$tmp/out" >"$tmp/a" &&
        run "$t/tiny.onnx" "${base[@]}" --chip 1 --steps 5 --tuner exhaustive --json && sed 's/"seconds":[^,}]*//' "$tmp/out" >"$tmp/b" &&
        cmp "$tmp/a" "$tmp/b"
}
plain_text() { run "$t/tiny.onnx" "${base[@]}" -q && grep -q '^untuned ' "$tmp/out" && grep -q '^closed-form-adam ' "$tmp/out" && [ ! -s "$tmp/err" ]; }
knobs_file() {
    run "$t/tiny.onnx" "${base[@]}" --tuner closed-form --knobs-out "$tmp/k.json" --json && grep -q '"gain"' "$tmp/k.json" &&
        grep -q '"offset"' "$tmp/k.json" && [ "$(ls "$tmp"/k.json* | wc -l)" = 1 ]
}
limit() { run "$t/tiny.onnx" "${base[@]}" --limit 10 --tuner closed-form --json && [[ $(field accuracy_after) =~ ^(0(\.[0-9])?|1)$ ]]; }
dry() { run "$t/tiny.onnx" "${base[@]}" --dry-run && grep -q 'MB' "$tmp/out"; }
fails_write() { run "$t/tiny.onnx" "${base[@]}" --tuner closed-form --knobs-out "$tmp/no/k.json"; [ $? = 4 ] && grep -qF "$tmp/no" "$tmp/err"; }
help_runs() { run --help && grep -q 'ohmtrim tune models/' "$tmp/out"; }

check all_tuners_print_their_fields all_tuners
check a_run_repeats_itself same_twice
check text_has_a_row_a_tuner plain_text
check knobs_are_written_whole knobs_file
check the_limit_counts_only_those_images limit
check dry_run_says_the_memory dry
check help_shows_a_command help_runs
check no_relu_no_knobs fails 3 "no ReLU" "$t/linear.onnx" "${base[@]}"
check bits_1_is_refused fails 2 "2..16" "$t/tiny.onnx" "${base[@]}" --bits 1
check bits_17_is_refused fails 2 "2..16" "$t/tiny.onnx" "${base[@]}" --bits 17
check sigma_beyond_the_model_is_refused fails 2 "0.08" "$t/tiny.onnx" "${base[@]}" --sigma 0.09
check an_unknown_tuner_is_named fails 2 "tuner 'adam'" "$t/tiny.onnx" "${base[@]}" --tuner adam
check an_empty_tuner_is_refused fails 2 "tuner ''" "$t/tiny.onnx" "${base[@]}" --tuner closed-form,
check a_tuner_twice_is_refused fails 2 "twice" "$t/tiny.onnx" "${base[@]}" --tuner subset,subset
check learned_wants_a_casebook fails 2 "--casebook" "$t/tiny.onnx" "${base[@]}" --tuner learned
check knobs_of_two_tuners_are_refused fails 2 "--knobs-out" "$t/tiny.onnx" "${base[@]}" --tuner subset,closed-form --knobs-out "$tmp/x"
check a_missing_casebook_is_named fails 3 "$tmp/none.npz" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$tmp/none.npz"
check a_casebook_of_another_network_is_refused fails 3 "2 gains" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-two-knobs.npz"
check signatures_of_another_length_are_refused fails 3 "8 numbers for 3 images" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-length.npz"
check a_stimulus_outside_the_data_is_refused fails 2 "number 30" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-far.npz"
check a_nan_in_the_casebook_is_refused fails 3 "number 3 is nan" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-nan.npz"
check a_casebook_without_offsets_is_refused fails 3 "no array 'offset'" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-no-offset.npz"
check a_casebook_that_is_a_network_is_refused fails 3 "tiny.onnx" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/tiny.onnx"
check more_clusters_than_chips_are_refused fails 2 "clusters = 9" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book.npz" --clusters 9
check a_tiny_memory_is_too_little fails 4 "--memory" "$t/tiny.onnx" "${base[@]}" --memory 1K
check no_network_is_usage fails 2 "network" "${base[@]}"
check no_data_is_usage fails 2 "--data" "$t/tiny.onnx"
check a_network_that_is_not_there fails 3 "$tmp/none.onnx" "$tmp/none.onnx" "${base[@]}"
check knobs_that_cannot_be_written fails_write
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
