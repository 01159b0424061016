#!/bin/bash
# campaign_test.sh - `ohmtrim campaign`: kills, signals, threads, resuming, locks, full disks, files of others; and `ohmtrim report`.
# The network and its images are tests/tune's.
. "$(dirname "$0")/shell.sh"
cd "$d"
camp() { "$cmd" campaign "$@" >out 2>err; }
run() { local db=$1; shift; camp run s.yaml -o "$db" -q "$@"; }
digest() { "$cmd" campaign digest "$1"; }
sql() { python3 - "$@" <<'P'
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
for q in sys.argv[2:]:
    for row in c.execute(q): print('|'.join(str(x) for x in row))
P
}
cat >s.yaml <<Y
network: $here/tune/tiny.onnx
data: npz:$here/tune/tiny.npz
sigma: 0.08
casebook_chips: 6
chips: 8
stimulus_images: 4
backend: ref
tune:
  steps: 8
  lr: 0.02
  polish_steps: 4
Y

# -- one campaign, whole ---------------------------------------------------------------------------------------------
run one.db --threads 1 --json || { cat err; echo "FAIL a campaign runs"; }
cp out one.json
want=$(digest one.db)
check a_campaign_is_done grep -q '"chips":14,"done":14,"failed":0' one.json
fields() { for k in ideal_accuracy '"thresholds":\[{"drop":0.01,"rule":"oracle"' '"yield":{"untuned":' '"low":{' '"high":{' '"seconds_per_chip":{"exhaustive":' "\"digest\":\"$want\""; do
    grep -q -- "$k" one.json || { echo "no $k"; return 1; }; done; }
check its_json_has_the_fields fields
check no_lock_is_left [ ! -e one.db.lock ]
check the_digest_has_64_digits grep -Eqx '[0-9a-f]{64}' <<<"$want"
status_is_the_same() { camp status one.db --json && cmp out one.json; }
check status_says_what_run_said status_is_the_same
again() { local n=$(sql one.db 'SELECT count(*) FROM run_info'); run one.db && [ "$(digest one.db)" = "$want" ] && [ "$(sql one.db 'SELECT count(DISTINCT run) FROM chip')" = 1 ]; }
check a_finished_campaign_is_not_run_again again
threads() { run three.db --threads 3 && [ "$(digest three.db)" = "$want" ]; }
check threads_do_not_change_the_digest threads
memory() { run tight.db --threads 4 --memory "$("$cmd" campaign run s.yaml --dry-run --threads 1 2>/dev/null | sed 's/.*flight: \([0-9.]*\) MB.*/\1/' | awk '{print $1 + 0.2 "M"}')" &&
    [ "$(digest tight.db)" = "$want" ] && [ "$(sql tight.db 'SELECT threads FROM run_info')" -lt 4 ]; }
check memory_only_limits_the_chips_in_flight memory
check phases_make_the_same_campaign eval 'run ph.db --phase casebook && grep -q "casebook 6 of 6, evaluation 0 of 8" out && run ph.db --phase evaluate && [ "$(digest ph.db)" = "$want" ]'
run ev.db --phase evaluate
check evaluate_wants_its_casebook says 3 'ev.db' '0 of 6' '--phase casebook'
check seeds_change_the_digest eval 'run seed.db --seed 2 && [ "$(digest seed.db)" != "$want" ]'
more() { run grow.db --set chips=3 --set tuners=closed-form,learned && run grow.db --set tuners=learned,closed-form,subset --set chips=3 && run grow.db && [ "$(digest grow.db)" = "$want" ]; }
check chips_and_tuners_may_be_added more

# -- killed and stopped ----------------------------------------------------------------------------------------------
kills() {
    local i n killed=0
    for i in 1 2 3 4 5 6 7 8; do
        "$cmd" campaign run s.yaml -o kill.db -q --threads $((i % 3 + 1)) >/dev/null 2>&1 &
        n=$!
        sleep "$(awk -v r=$RANDOM 'BEGIN {print 0.01 + 0.12 * r / 32768}')"
        kill -9 $n 2>/dev/null && killed=$((killed + 1))
        wait $n 2>/dev/null
    done
    [ $killed -ge 1 ] && run kill.db && [ "$(digest kill.db)" = "$want" ]
}
check killed_anywhere_it_ends_with_the_same_digest kills
interrupt() {
    local n rc
    "$cmd" campaign run s.yaml -o int.db -q --threads 1 --set tune.steps=200 >out 2>err &
    n=$!
    for _ in $(seq 100); do [ "$(sql int.db 'SELECT count(*) FROM chip' 2>/dev/null || echo 0)" -ge 1 ] 2>/dev/null && break; done
    kill -INT $n
    wait $n; rc=$?
    [ $rc = 1 ] || { echo "exit $rc"; return 1; }
    grep -q 'stopped by a signal with .* left; the same command continues' err && [ ! -e int.db.lock ] && [ ! -e int.db-wal ] &&
        [ "$(sql int.db 'SELECT outcome FROM run_info' 'PRAGMA integrity_check')" = $'stopped by a signal before the end\nok' ] &&
        run int.db --set tune.steps=200 && grep -q '14 of 14' out
}
set -m      # background jobs get SIGINT as usual
check an_interrupt_finishes_the_chips_in_hand interrupt
set +m

# -- other specs, other builds ---------------------------------------------------------------------------------------
run one.db --sigma 0.05 --set tune.steps=9
check another_spec_names_the_keys says 3 one.db 'sigma (stored 0.08, asked 0.05)' 'tune.steps (stored 8, asked 9)'
run one.db --set 'tune.policy=COS k1=0.02 l=100%' --set tune.optimizer=momentum
check another_policy_names_its_keys says 3 one.db 'tune.policy (stored none, asked COS k0=0 k1=0.02 l=100%)' 'tune.optimizer (stored adam, asked momentum)'
cp one.db before.db; sql before.db "DELETE FROM spec WHERE key IN ('tune.policy', 'tune.optimizer', 'tune.momentum')"
check a_file_from_before_policies_goes_on eval 'run before.db && [ "$(digest before.db)" = "$want" ]'
policies() { # a policy and another optimiser decide results; resumed they are the same
    run pol.db --set 'tune.policy=TRI2(k0=0.002 k1=0.02 l=25%)' --set tune.optimizer=sgd --set chips=4 --set casebook_chips=3 &&
        [ "$(digest pol.db)" != "$want" ] && run pol.db --set 'tune.policy=tri2 l=25% k1=0.02 k0=0.002' --set tune.optimizer=sgd --set chips=4 --set casebook_chips=3
}
check a_campaign_follows_policy_and_optimiser policies
run one.db --set chips=3
check fewer_chips_are_another_campaign says 3 one.db 'chips (stored 8, asked 3)'
run one.db --set tuners=learned
check fewer_tuners_are_another_campaign says 3 one.db tuners
cp "$here/tune/tiny.onnx" other.onnx && printf '\0' >>other.onnx
"$cmd" chip "$here/tune/tiny.onnx" 0 --onnx other.onnx -q >/dev/null 2>&1
run one.db --set network=other.onnx
check another_network_is_another_campaign says 3 one.db network.sha256 'stored SHA-256'
cp "$here/tune/tiny.onnx" same.onnx
check the_same_network_elsewhere_is_the_same eval 'run one.db --set network=same.onnx && [ "$(digest one.db)" = "$want" ]'
run one.db --device-model r3
check another_device_is_another_campaign says 3 one.db device.sha256
cp one.db build.db; sql build.db "UPDATE run_info SET build = 'abc1234'"
run build.db
check another_build_is_refused says 3 build.db 'build (stored abc1234' --mixed
check mixed_lets_it_go_on run build.db --mixed

# -- files -----------------------------------------------------------------------------------------------------------
lock() {
    local n
    "$cmd" campaign run s.yaml -o lock.db -q --set tune.steps=3000 >/dev/null 2>&1 &
    n=$!
    for _ in $(seq 200); do [ -s lock.db.lock ] && break; sleep 0.02; done
    run lock.db --set tune.steps=3000; last=$?
    kill -9 $n; wait $n 2>/dev/null
    says 4 lock.db "process $n on host $(hostname)"
}
check two_runs_on_one_database lock
run /nosuchfolder/x.db
check a_folder_that_is_not_there says 4 /nosuchfolder/x.db
mkdir folder; run folder
check a_folder_is_no_database says 4 folder 'no regular file'
echo 'this is a plain text file, long enough to be looked at' >text.db; cp text.db text.was; run text.db
check a_text_file_is_no_database says 3 text.db 'not a database'
check and_stays_as_it_was cmp text.db text.was
sql foreign.db 'CREATE TABLE t (x)'; run foreign.db
check a_database_of_others says 3 foreign.db 'another program'
cp one.db newer.db; sql newer.db 'PRAGMA user_version = 99'; run newer.db
check a_newer_version says 3 newer.db 'version 99' 'want at most 2'
camp status newer.db
check a_newer_version_is_not_read says 3 newer.db 'version 99'
head -c 20000 one.db >cut.db; camp status cut.db
check a_truncated_database_is_not_read says 3 cut.db 'damaged or truncated'
run cut.db
check a_truncated_database_is_not_continued says 3 cut.db 'damaged or truncated'
camp status nosuch.db
check a_missing_database says 3 nosuch.db 'No such file'
check and_is_not_made [ ! -e nosuch.db ]
: >empty.db
check an_empty_file_is_a_new_campaign eval 'run empty.db && [ "$(digest empty.db)" = "$want" ]'
full() { # a file-size limit behaves as a full disk does; nothing that was committed is lost
    (ulimit -f 96; "$cmd" campaign run s.yaml -o full.db -q --threads 1 >out 2>err); local rc=$?
    [ $rc = 4 ] && grep -q 'full.db: .*kept' err && [ "$(wc -l <err)" = 1 ] && run full.db && [ "$(digest full.db)" = "$want" ]
}
check a_full_disk_loses_nothing full
tmpfs() {
    mkdir -p small && (cd small && "$cmd" campaign run ../s.yaml -o x.db -q --threads 1 >../out 2>../err); local rc=$?
    [ $rc = 4 ] && grep -q 'x.db: .*kept' err
}
if mkdir -p small && mount -t tmpfs -o size=100k none small 2>/dev/null; then check a_full_tmpfs_is_one_sentence tmpfs; umount small
else skip 'no right to mount a tmpfs'; fi
durable() { run dur.db --durable && [ "$(digest dur.db)" = "$want" ]; }
check durable_gives_the_same durable

# -- specs and words -------------------------------------------------------------------------------------------------
bad() { local words=$1 code=$2; shift 2; run bad.db "$@"; last=$?; says "$code" $words && [ ! -e bad.db ]; }
cp s.yaml good.yaml
check a_range_is_checked bad 'sigma 0..0.08' 2 --set sigma=0.09
check a_key_that_is_not_known bad "'chip' known" 2 --set chip=3
check a_learned_tuner_without_casebook bad 'casebook_chips learned' 2 --set casebook_chips=0
check no_memory_for_one_chip bad 'memory least' 4 --memory 20K
check a_missing_network bad 'no.onnx' 3 --set network=no.onnx
check a_missing_data_set bad 'no.npz' 3 --set data=npz:no.npz
check a_backend_that_is_not_there bad 'abacus' 4 --backend abacus
sed -i 's/^chips: 8/chips: 8\nchipps: 9/' s.yaml
check an_unknown_key_in_the_file bad "s.yaml chipps line" 3
cp good.yaml s.yaml; sed -i 's/steps: 8/steps: many/' s.yaml
check a_wrong_value_in_the_file bad "s.yaml tune.steps 'many'" 3
cp good.yaml s.yaml
usage() { camp "$@"; [ $? = 2 ]; }
check a_word_that_is_no_verb usage go one.db
check run_wants_a_database usage run s.yaml
check status_takes_no_phase usage status one.db --phase casebook
check help_shows_a_command eval '"$cmd" campaign --help | grep -q "ohmtrim campaign run examples/demo.yaml"'

# -- out of the database ---------------------------------------------------------------------------------------------
csv() { camp export one.db --csv csv && [ "$(wc -l <csv/tuning.csv)" = 47 ] && [ "$(wc -l <csv/chip.csv)" = 15 ] &&
    head -1 csv/summary.csv | grep -q '^drop,rule,threshold,flagged,knobs,yield,low,high'; }
check tables_as_csv csv
npz() { camp export one.db --npz book.npz && "$cmd" tune "$here/tune/tiny.onnx" --data "npz:$here/tune/tiny.npz" --backend ref --sigma 0.08 \
    --chip 6 --tuner learned --casebook book.npz --json -q >out 2>err &&
    [ "$(sql one.db "SELECT nearest FROM tuning WHERE chip = 6 AND tuner = 'learned'")" = "$(sed 's/.*"nearest":\([0-9]*\).*/\1/' out)" ]; }
check the_exported_casebook_tunes_as_the_campaign_did npz
camp export one.db --csv /nosuchfolder/csv
check a_folder_that_cannot_be_made says 4 /nosuchfolder/csv
readers() { camp status three.db --json && chmod a-w three.db && camp digest three.db; }
check a_file_that_may_only_be_read readers
if command -v gnuplot >/dev/null; then
    report() { "$cmd" report one.db -o rep >out 2>err && [ "$(cat out)" = rep/index.html ] &&
        for x in yield.png accuracy.png; do head -c 8 rep/$x | grep -aq PNG || return 1; done &&
        grep -q '</svg>' rep/yield.svg && grep -q '</svg>' rep/accuracy.svg && grep -q "$want" rep/index.html && grep -q "None: 6 chips to learn from" rep/index.html && [ "$(wc -l <rep/yield.csv)" = 82 ]; }
    check a_report_has_its_files report
else skip 'no gnuplot'; fi
PATH=/nosuchfolder "$cmd" report one.db -o rep2 >out 2>err
check no_gnuplot_is_one_sentence says 4 gnuplot gnuplot-nox rep2
printf '#!/bin/sh\necho "line 3: bad plot" >&2\nexit 5\n' >gnuplot; chmod +x gnuplot
PATH=$PWD:$PATH "$cmd" report one.db -o rep2 >out 2>err
check a_failing_gnuplot_is_quoted says 4 'status 5' 'bad plot'
"$cmd" report ev.db -o rep3 >out 2>err
check a_report_wants_a_finished_chip says 3 ev.db 'no evaluation chip'
[ ! -e rep3 ] || { echo 'FAIL a report without chips leaves a folder'; f=$((f + 1)); }

# -- self-tuning's modules -------------------------------------------------------------------------------------------
cp "$here/tune/tiny.onnx" gone.onnx
printf 'network: gone.onnx\ndata: npz:%s\ncasebook_chips: 2\nchips: 3\nstimulus_images: 4\nbackend: ref\ntuners: [self-tuning, self-tuning-ltm]\ntune:\n  gtm_cells: 50\n  ltm_columns: 2\n' "$here/tune/tiny.npz" >st.yaml
"$cmd" campaign run st.yaml -o st.db -q >out 2>err
modules() { [ "$(grep -c '^modules of self-tuning.*: .* % more multiply-accumulates an image, .* % more cells' out)" = "$1" ]; }
check what_modules_cost_is_printed modules 2
camp status st.db --json
check and_told_a_machine grep -q '"modules":{"self-tuning":{"macs":[0-9]*,"macs_tuning":50,.*"self-tuning-ltm":{"macs":.*"weights_tuning":' out
"$cmd" report st.db -o rep4 >out 2>err
check and_on_the_page [ "$(grep -c 'The modules of self-tuning' rep4/index.html 2>/dev/null || echo 2)" = 2 ]
rm gone.onnx
camp status st.db
check without_the_network_it_says_so grep -q '^modules of self-tuning: .*gone.onnx' out
finish
