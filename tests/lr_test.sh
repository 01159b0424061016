#!/bin/bash
# lr_test.sh - `ohmtrim bench lr`: verify, recommend, the table that later runs go on from, plots, bad input; policies of `train` and `tune`.
# The network and its images are tests/tune's.
. "$(dirname "$0")/shell.sh"
verb=(bench lr)
t=$here/tune
cd "$d"
net=("$t/tiny.onnx" --data "npz:$t/tiny.npz" --backend ref --sigma 0.08 -q)
small=(--chips 3 --steps 6 --every 2 --minibatch 16)
field() { sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p" out | head -n "${2:-1}" | tail -n 1; }

run --list
check 'the list has the 13 functions' "[ $rc = 0 ] && [ \$(wc -l <out) = 13 ] && grep -q '^SINEXP ' out"
run --list --json
check 'and as JSON' "[ $rc = 0 ] && [ \$(grep -c '\"formula\":' out) = 13 ]"

# -- verify
run "${net[@]}" "${small[@]}" --policy 'COS k1=0.05 l=100%' --target 0
check 'a target that is there at once is reached at iteration 0' "[ $rc = 0 ] && grep -q 'verified: 0.00 % reached at iteration 0 of 6' out"
run "${net[@]}" "${small[@]}" --policy 'COS k1=0.05 l=100%' --policy 'FIX k0=0.01' --target 1
check 'one that is not is a no' "[ $rc = 1 ] && [ \$(grep -c 'not verified: 100.00 %' out) = 2 ] && grep -q '2 of 2 policies did not reach the target' err"
run "${net[@]}" "${small[@]}" --policy 'TRI2 k0=0.001 k1=0.05 l=2' --optimizer adam,momentum --target 0.3 --json
check 'JSON: an object for each policy and optimiser' "[ \$(grep -c '^{.*}$' out) = 2 ] && [ \$(wc -l <out) = 2 ] && grep -q '\"optimizer\":\"momentum\",\"momentum\":0.9' out && grep -q '\"curve\":\[{\"iteration\":0,' out"
check 'its fields' "grep -q '\"policy\":\"TRI2 k0=0.001 k1=0.05 l=2\".*\"chips\":3,\"steps\":6,\"ideal\":.*\"target\":0.3,\"verified\":.*\"iterations_to_target\":.*\"accuracy_before\":.*\"accuracy_after\":.*\"accuracy_worst\":.*\"chips_at_target\":.*\"images\":.*\"images_to_target\":.*\"seconds\":' out"
run "${net[@]}" "${small[@]}" --policy 'COS k1=0.05 l=100%' --target 0 --threads 1 --json; one=$(sed 's/"seconds":[^,]*//' out)
run "${net[@]}" "${small[@]}" --policy 'COS k1=0.05 l=100%' --target 0 --threads 3 --json; three=$(sed 's/"seconds":[^,]*//' out)
check 'threads change nothing' '[ "$one" = "$three" ]'
after=$(field accuracy_after)
sum=0
for c in 0 1 2; do
    a=$("$cmd" tune "${net[@]}" --chip $c --tuner exhaustive --steps 6 --minibatch 16 --policy 'COS k1=0.05 l=100%' --json 2>/dev/null | sed 's/.*"accuracy_after":\([^,]*\).*/\1/')
    sum=$(python3 -c "print($sum + $a / 3)")
done
check 'a verified policy is what tune does with it' "python3 -c 'import sys; sys.exit(abs($sum - $after) > 1e-9)'"
run "${net[@]}" --chips 1 --epochs 0.5 --minibatch 16 --policy 'COS k1=0.05 l=0.5ep' --target 0 --json
check 'a budget in epochs' "[ $rc = 0 ] && [ \$(field steps) -gt 0 ]"
run "${net[@]}" "${small[@]}" --policy 'FIX k0=0.01' --limit 8 --target 0 --json; a=$(field accuracy_after)
run "${net[@]}" "${small[@]}" --policy 'FIX k0=0.01' --limit 8 --skip 8 --target 0 --json; b=$(field accuracy_after)
run "${net[@]}" "${small[@]}" --policy 'FIX k0=0.01' --limit 16 --target 0 --json; ab=$(field accuracy_after)
check 'the first and the next images make all' "python3 -c 'import sys; sys.exit(abs(($a + $b) / 2 - $ab) > 1e-9)'"
run "${net[@]}" "${small[@]}" --policy 'FIX k0=0.01' --dry-run
check 'a dry run tries nothing' "[ $rc = 0 ] && grep -q '1 candidates on 3 chips, 6 iterations of 16 images' out"

# -- recommend
reco=("${net[@]}" "${small[@]}" --chips 4 --rung-chips 1 --recommend --limit 8 --rates 0.01,0.1 --shapes FIX,COS,TRIEXP --drop 0.05)
run "${reco[@]}" --top 100
check 'all candidates are ranked, the tuners own among them' "[ $rc = 0 ] && [ \$(grep -c '^ *[0-9]* *[1-4] ' out) = 6 ] && grep -q '+0.00 +- 0.00   adam     FIX k0=0.01' out"
run "${reco[@]}" --top 100 --table t.csv; cp out whole.out
rows=$(wc -l <t.csv)
check 'the table has a line a trial and one of names' "[ $rc = 0 ] && [ $rows = 14 ]"      # 6 candidates on 1 chip, 3 on 2, 2 on 4: 6 + 3 + 4, and names
run "${reco[@]}" --top 100 --table t.csv
check 'a second run tries nothing and says the same' "[ $rc = 0 ] && [ \$(wc -l <t.csv) = $rows ] && grep -q '6 candidates, 0 trials run' out && diff <(sed 1d out) <(sed 1d whole.out) >/dev/null"
head -n 5 t.csv | head -c -9 >cut.csv
run "${reco[@]}" --top 100 --table cut.csv
check 'one that was killed goes on' "[ $rc = 0 ] && diff <(sed 1d out) <(sed 1d whole.out) >/dev/null && diff <(cut -d, -f1-10 t.csv | sort) <(cut -d, -f1-10 cut.csv | sort) >/dev/null"
run "${reco[@]}" --table t.csv --policy 'EXP k0=0.05 gamma=0.1/100%' --json
check 'later runs add to it' "[ $rc = 0 ] && [ \$(wc -l <t.csv) -gt $rows ] && grep -q '\"rank\":1,' out && grep -q '\"over_default\":' out"
kill_and_go_on() {
    rm -f k.csv
    for pause in 0.05 0.1 0.2 0.4 0.8 5; do
        "$cmd" bench lr "${reco[@]}" --top 100 --table k.csv >out 2>err & local n=$!
        { sleep $pause; kill -9 $n; } 2>/dev/null & local timer=$!
        wait $n 2>/dev/null; local r=$?
        kill $timer 2>/dev/null; wait $timer 2>/dev/null
        [ $r = 0 ] && break
    done
    [ $r = 0 ] && diff <(sed 1d out) <(sed 1d whole.out) >/dev/null && [ "$(wc -l <k.csv)" = "$rows" ]
}
check 'killed again and again it ends with the same' kill_and_go_on

# -- plots
if command -v gnuplot >/dev/null; then
    run --policy 'TRI2 k0=0.001 k1=0.01 l=50' --policy 'FIX(k0=0.01)@30%, EXP(k0=0.01 gamma=0.1/1ep)' --steps 400 --epochs 4 --plot p.svg
    check 'policies are drawn' "[ $rc = 0 ] && grep -q '</svg>' p.svg && grep -q 'TRI2 k0=0.001 k1=0.01 l=50' p.svg && [ \$(ls | grep -c tmp) = 0 ]"
    run "${reco[@]}" --table t.csv --plot best.png
    check 'the best are drawn' "[ $rc = 0 ] && head -c 4 best.png | grep -q PNG"
else skip 'no gnuplot' 2; fi
bad 'a picture of another kind' 2 'want a name that ends in .svg or .png' --policy 'FIX k0=1' --plot p.gif

# -- bad input
"$cmd" bench sorting >out 2>err; rc=$?
check 'another benchmark' "[ $rc = 2 ] && grep -qF 'want \`ohmtrim bench lr\`' err"
"$cmd" bench >out 2>err; rc=$?
check 'no benchmark' "[ $rc = 2 ] && grep -qF 'want \`ohmtrim bench lr\`' err"
bad 'no network' 2 'a network is wanted' --policy 'FIX k0=1'
bad 'no policy' 2 '--policy TEXT is wanted' "${net[@]}"
bad 'no data' 2 '--data is wanted' "$t/tiny.onnx" --policy 'FIX k0=1'
bad 'a policy of another name' 2 "'COZ' is not a policy, want COS" "${net[@]}" --policy 'COZ k1=1 l=3'
bad 'a policy that is none' 2 'is none' "${net[@]}" --policy none
bad 'an optimiser of another name' 2 "'rmsprop' is not known, want adam" "${net[@]}" --policy 'FIX k0=1' --optimizer adam,rmsprop
bad 'an optimiser twice' 2 'adam stands there twice' "${net[@]}" --policy 'FIX k0=1' --optimizer adam,adam
bad 'a shape of another name' 2 "'FOO' is not known" "${net[@]}" --recommend --shapes FIX,FOO
bad 'a rate that is none' 2 "--rates = 'x'" "${net[@]}" --recommend --rates 0.1,x
bad 'a first round of too many chips' 2 '--rung-chips = 9' "${net[@]}" --recommend --chips 8 --rung-chips 9
bad 'no images left to judge by' 2 'want fewer' "${net[@]}" --recommend --skip 100000
bad 'a tuner without steps' 2 'trials of the tuner closed-form, want exhaustive' "${net[@]}" "${small[@]}" --policy 'FIX k0=1' --tuner closed-form
bad 'lengths that do not rise' 2 'boundary 2 is at 3 after 5' "${net[@]}" "${small[@]}" --policy 'FIX(k0=1)@5, FIX(k0=1)@50%, FIX(k0=1)'
echo 'a,b' >foreign.csv; bad 'a file of others' 3 'no table of trials' "${net[@]}" "${small[@]}" --policy 'FIX k0=1' --table foreign.csv
bad 'a picture of another kind, before the work' 2 'want a name that ends in .svg or .png' "${net[@]}" "${small[@]}" --policy 'FIX k0=0.01' --plot p.gif
bad 'a picture in no folder, before the work' 4 '/nosuch/p.svg cannot be written' "${net[@]}" "${small[@]}" --policy 'FIX k0=0.01' --plot /nosuch/p.svg
bad 'two targets' 2 'want one of them' "${net[@]}" "${small[@]}" --policy 'FIX k0=0.01' --target 0.5 --drop 0.1
bad 'chips past the last' 2 'want numbers up to 4294967295' "${net[@]}" --policy 'FIX k0=0.01' --chips 3 --first-chip 4294967294
run "${net[@]}" "${small[@]}" --policy 'FIX k0=0.01' --dry-run --json
check 'a dry run speaks JSON' "[ $rc = 0 ] && [ \$(field candidates) = 1 ]"
bad 'a folder that is not there' 4 '/nosuch/t.csv' "${net[@]}" "${small[@]}" --policy 'FIX k0=1' --table /nosuch/t.csv
bad 'a network that is not there' 3 'nosuch.onnx' nosuch.onnx --data "npz:$t/tiny.npz" --policy 'FIX k0=1'
bad 'too little memory' 4 'MB allowed' "${net[@]}" "${small[@]}" --policy 'FIX k0=1' --memory 1K

# -- tune with every optimiser
tune() { "$cmd" tune "${net[@]}" --chip 1 --tuner exhaustive --steps 6 --minibatch 16 --json "$@" >out 2>err; rc=$?; }
tune; plain=$(sed 's/"seconds":[^,]*//' out)
tune --policy 'FIX k0=0.01' --optimizer adam
check 'the fixed policy at the default rate is the default' '[ $rc = 0 ] && [ "$(sed "s/\"seconds\":[^,]*//" out)" = "$plain" ]'
before=$plain
for o in sgd momentum adam; do
    tune --policy 'SIN k0=0.001 k1=0.05 l=50%' --optimizer $o
    check "tune steps by $o" '[ $rc = 0 ] && [ "$(sed "s/\"seconds\":[^,]*//" out)" != "$before" ] && [ "$(field steps)" = 6 ]'
    before=$(sed 's/"seconds":[^,]*//' out)
done
tune --lr 0.1 --policy 'FIX k0=0.01'
check 'two rates are one too many' '[ $rc = 2 ] && grep -q -- "without --lr" err'
tune --policy 'FIX k0=-1'
check 'a negative rate' '[ $rc = 2 ] && grep -q "FIX: k0 = -1, want a rate" err'
tune --optimizer lion
check 'an optimiser that is not known' '[ $rc = 2 ] && grep -q "want adam, sgd or momentum" err'
finish
