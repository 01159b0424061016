#!/bin/bash
# tune_test.sh - the verb `tune`: fields, tuners, files it writes, bad input.  The small files in tune/ are made by tune/make.py.
. "$(dirname "$0")/shell.sh"
verb=(tune)
t=$here/tune
base=(--data "npz:$t/tiny.npz" --backend ref --sigma 0.08)

field() { sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p" "$d/out"; }

all_tuners() {
    run "$t/tiny.onnx" "${base[@]}" --chip 2 --tuner exhaustive,subset,learned,closed-form,closed-form-adam --casebook "$t/book.npz" \
        --steps 20 --lr 0.02 --polish-steps 5 --json || return 1
    [ "$(wc -l <"$d/out")" = 5 ] || return 1
    for key in chip tuner accuracy_before accuracy_after gain offset images steps seconds; do
        [ "$(grep -c "\"$key\":" "$d/out")" = 5 ] || { echo "no field $key"; return 1; }
    done
    [ "$(field tuner | tr -d '"\n')" = exhaustivesubsetlearnedclosed-formclosed-form-adam ] &&
        [ "$(field images | tr '\n' ' ')" = "1200 120 2 60 360 " ] && [ "$(field steps | tr '\n' ' ')" = "20 20 0 0 5 " ]
}
same_twice() {
    run "$t/tiny.onnx" "${base[@]}" --chip 1 --steps 5 --tuner exhaustive --json && sed 's/"seconds":[^,}]*//' "$d/out" >"$d/a" &&
        run "$t/tiny.onnx" "${base[@]}" --chip 1 --steps 5 --tuner exhaustive --json && sed 's/"seconds":[^,}]*//' "$d/out" >"$d/b" &&
        cmp "$d/a" "$d/b"
}
plain_text() { run "$t/tiny.onnx" "${base[@]}" -q && grep -q '^untuned ' "$d/out" && grep -q '^closed-form-adam ' "$d/out" && [ ! -s "$d/err" ]; }
knobs_file() {
    run "$t/tiny.onnx" "${base[@]}" --tuner closed-form --knobs-out "$d/k.json" --json && grep -q '"gain"' "$d/k.json" &&
        grep -q '"offset"' "$d/k.json" && [ "$(ls "$d"/k.json* | wc -l)" = 1 ]
}
limit() { run "$t/tiny.onnx" "${base[@]}" --limit 10 --tuner closed-form --json && [[ $(field accuracy_after) =~ ^(0(\.[0-9])?|1)$ ]]; }
dry() { run "$t/tiny.onnx" "${base[@]}" --dry-run && grep -q 'MB' "$d/out"; }
fails_write() { run "$t/tiny.onnx" "${base[@]}" --tuner closed-form --knobs-out "$d/no/k.json"; [ $? = 4 ] && grep -qF "$d/no" "$d/err"; }
help_runs() { run --help && grep -q 'ohmtrim tune models/' "$d/out"; }

check all_tuners_print_their_fields all_tuners
check a_run_repeats_itself same_twice
check text_has_a_row_a_tuner plain_text
check knobs_are_written_whole knobs_file
check the_limit_counts_only_those_images limit
check dry_run_says_the_memory dry
check help_shows_a_command help_runs
bad no_relu_no_knobs 3 "no ReLU" "$t/linear.onnx" "${base[@]}"
bad bits_1_is_refused 2 "2..16" "$t/tiny.onnx" "${base[@]}" --bits 1
bad bits_17_is_refused 2 "2..16" "$t/tiny.onnx" "${base[@]}" --bits 17
bad sigma_beyond_the_model_is_refused 2 "0.08" "$t/tiny.onnx" "${base[@]}" --sigma 0.09
bad an_unknown_tuner_is_named 2 "tuner 'adam'" "$t/tiny.onnx" "${base[@]}" --tuner adam
bad an_empty_tuner_is_refused 2 "tuner ''" "$t/tiny.onnx" "${base[@]}" --tuner closed-form,
bad a_tuner_twice_is_refused 2 "twice" "$t/tiny.onnx" "${base[@]}" --tuner subset,subset
bad learned_wants_a_casebook 2 "--casebook" "$t/tiny.onnx" "${base[@]}" --tuner learned
bad knobs_of_a_changed_chip_are_refused 2 "self-tuning changes the chip and sets no knobs" "$t/tiny.onnx" "${base[@]}" --tuner self-tuning --knobs-out "$d/x"
bad momentum_of_adam_is_refused 2 "--momentum is of SGD" "$t/tiny.onnx" "${base[@]}" --momentum 0.5
bad levels_that_fit_no_int_are_refused 2 "--ladder = '4294967301'" "$t/tiny.onnx" "${base[@]}" --ladder 4294967301
dry_json() { run "$t/tiny.onnx" "${base[@]}" --limit 10 --dry-run --json && [ "$(field test_images)" = 10 ] && [ "$(field chip)" = 0 ]; }
check a_dry_run_speaks_json dry_json
last_chip() { run "$t/tiny.onnx" "${base[@]}" --limit 10 --chip 4294967295 --tuner closed-form --json && [ "$(field chip)" = 4294967295 ]; }
check the_last_chip_can_be_tuned last_chip
bad knobs_of_two_tuners_are_refused 2 "--knobs-out" "$t/tiny.onnx" "${base[@]}" --tuner subset,closed-form --knobs-out "$d/x"
bad a_missing_casebook_is_named 3 "$d/none.npz" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$d/none.npz"
bad a_casebook_of_another_network_is_refused 3 "2 gains" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-two-knobs.npz"
bad signatures_of_another_length_are_refused 3 "8 numbers for 3 images" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-length.npz"
bad a_stimulus_outside_the_data_is_refused 2 "number 30" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-far.npz"
bad a_nan_in_the_casebook_is_refused 3 "number 3 is nan" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-nan.npz"
bad a_casebook_without_offsets_is_refused 3 "no array 'offset'" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book-no-offset.npz"
bad a_casebook_that_is_a_network_is_refused 3 "tiny.onnx" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/tiny.onnx"
bad more_clusters_than_chips_are_refused 2 "clusters = 9" "$t/tiny.onnx" "${base[@]}" --tuner learned --casebook "$t/book.npz" --clusters 9
bad a_tiny_memory_is_too_little 4 "--memory" "$t/tiny.onnx" "${base[@]}" --memory 1K
bad no_network_is_usage 2 "network" "${base[@]}"
bad no_data_is_usage 2 "--data" "$t/tiny.onnx"
bad a_network_that_is_not_there 3 "$d/none.onnx" "$d/none.onnx" "${base[@]}"
check knobs_that_cannot_be_written fails_write
finish
