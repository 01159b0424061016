#!/bin/bash
# spike_test.sh - spiking networks from the command line: trained (IF, LIF, time to first spike), tuned, in campaigns, judged by recipes.
# The images are tests/tune's; the networks are trained here, in a second.
. "$(dirname "$0")/shell.sh"
cd "$d" || exit 1
data=npz:$here/tune/tiny.npz
base=(--data "$data" --optimizer adam --lr 0.01 --weight-decay 0 --epochs 12 --minibatch 20)
accuracy() { sed -n 's/.*test accuracy \([0-9.]*\),.*/\1/p' out; }
above() { awk -v a="$(accuracy)" -v b="$1" 'BEGIN {exit !(a > b)}'; }

# -- training --------------------------------------------------------------------------------------------------------
check an_if_network_learns eval 'run train snn-xs "${base[@]}" --steps 4 -o if.onnx && above 0.5'
check a_leaky_one_learns eval 'run train snn-xs "${base[@]}" --steps 4 --leak 0.9 --reset zero --spike-loss rate --surrogate fast-sigmoid:5 -o lif.onnx && above 0.5'
check rate_coding_learns eval 'run train snn-xs "${base[@]}" --steps 6 --coding rate -o rate.onnx && above 0.4'
check the_first_spike_tells eval 'run train snn-xs "${base[@]}" --steps 8 --coding latency --reset once -o first.onnx && above 0.4'
check info_says_how_it_spikes eval 'run info first.onnx && grep -q "fires once" out && grep -q "one input spike a pixel" out && run info lif.onnx --json && grep -q "\"reset\":\"zero\"" out'
check threads_change_nothing eval 'run train snn-xs "${base[@]}" --steps 4 --threads 1 -o again.onnx && cmp -s if.onnx again.onnx'
bad steps_for_a_network_that_does_not_spike 3 'no spiking layers' train "$here/tune/tiny.onnx" --data "$data" --steps 4 -o x.onnx
bad no_steps 2 'steps' train snn-xs "${base[@]}" --steps 0 -o x.onnx
bad an_unknown_coding 2 "--coding = 'phase', want direct, rate or latency" train snn-xs "${base[@]}" --coding phase -o x.onnx
bad an_unknown_reset 2 "--reset = 'soft', want subtract, zero or once" train snn-xs "${base[@]}" --reset soft -o x.onnx
bad an_unknown_surrogate 2 "--surrogate = 'step'" train snn-xs "${base[@]}" --surrogate step -o x.onnx
bad rates_of_single_spikes 3 'the loss of rates for neurons that fire once' train snn-xs "${base[@]}" --reset once --spike-loss rate -o x.onnx
check no_file_is_left eval '[ ! -e x.onnx ]'

# -- one chip --------------------------------------------------------------------------------------------------------
chip=(--data "$data" --device-model r2 --sigma 0.08 --bits 6 --chip 3)
check thresholds_are_tuned_and_rounded eval 'run tune if.onnx "${chip[@]}" --tuner exhaustive,closed-form,closed-form-adam,moments --steps 5 --lr 0.02 --polish-steps 2 --ladder 5 --json &&
    [ "$(grep -c "\"accuracy_unrounded\":" out)" = 4 ] && grep -q "\"offset\":\[0,0,0,0\]" out'
check a_files_knobs_are_used eval 'run tune if.onnx "${chip[@]}" --tuner closed-form --ladder 5 --json --knobs-out k.json && cp out tuned && run eval if.onnx "${chip[@]}" --knobs k.json --json &&
    python3 -c "import json; a = json.load(open(\"tuned\"))[\"accuracy_after\"]; assert abs(json.load(open(\"out\"))[\"accuracy\"] - a) < 1e-9, a"'
check first_spikes_are_tuned eval 'run tune first.onnx "${chip[@]}" --tuner exhaustive,closed-form,moments --steps 5 --lr 0.02 --json && [ "$(wc -l <out)" = 3 ]'
bad a_ladder_for_rectifiers 3 'no spiking layers, --ladder is for their thresholds' tune "$here/tune/tiny.onnx" "${chip[@]}" --ladder 5
bad a_ladder_that_falls 2 'want 1..16 bits and levels that rise' tune if.onnx "${chip[@]}" --ladder 5:1.5..0.5
bad a_ladder_of_words 2 'want BITS or BITS:LOW..HIGH' tune if.onnx "${chip[@]}" --ladder five
echo '{"gain": [1, 1, 1, 1], "offset": [0, 0.5, 0, 0]}' >bad.json
bad an_offset_for_a_threshold 2 'offset of spiking layer 1 = 0.5, want 0' eval if.onnx "${chip[@]}" --knobs bad.json

# -- campaigns -------------------------------------------------------------------------------------------------------
cat >s.yaml <<Y
network: if.onnx
data: $data
device_model: r2
sigma: 0.08
bits: 6
casebook_chips: 60
chips: 24
stimulus_images: 8
signature: final
tile: 100
tuners: [exhaustive, learned, nearest, knn, ridge, moments, closed-form]
tune: {steps: 5, lr: 0.02}
Y
sed 's/if.onnx/lif.onnx/; s/casebook_chips: 60/casebook_chips: 12/; s/^chips: 24/chips: 6/' s.yaml >lif.yaml
sed 's/if.onnx/first.onnx/; s/casebook_chips: 60/casebook_chips: 12/; s/^chips: 24/chips: 6/' s.yaml >first.yaml
check a_campaign_runs run campaign run s.yaml -o c.db -q --threads 1
"$cmd" campaign run s.yaml -o killed.db -q --threads 2 >/dev/null 2>&1 & pid=$!
sleep 0.3; kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
check a_killed_one_goes_on_to_the_same_digest eval 'run campaign run s.yaml -o killed.db -q --threads 2 && [ "$("$cmd" campaign digest c.db)" = "$("$cmd" campaign digest killed.db)" ]'
check status_has_recovery_and_rounding eval 'run campaign status c.db && grep -q "Bad chips and how many of them tuning recovers" out && grep -q "before rounding to the ladder" out &&
    run campaign status c.db --json && python3 -c "
import json
o = json.load(open(\"out\"))
assert [r[\"drop\"] for r in o[\"recovery\"]] == [0.1, 0.05, 0.04, 0.03] and set(o[\"mean_accuracy_unrounded\"]) == {\"exhaustive\", \"learned\", \"nearest\", \"knn\", \"ridge\", \"moments\", \"closed-form\"}
for r in o[\"recovery\"]:
    b = r[\"bad\"]
    for t in r[\"recovered\"]: assert b[\"untuned\"] == 0 or abs(r[\"recovered\"][t] - (b[\"untuned\"] - b[t]) / b[\"untuned\"]) < 1e-12
"'
check knobs_lie_on_the_ladder eval '"$cmd" campaign export c.db --csv csv >/dev/null && python3 - <<P
import sqlite3, struct
c = sqlite3.connect("c.db")
for gain, offset in c.execute("select gain, offset from tuning"):
    for g in struct.unpack("<%df" % (len(gain) // 4), gain): assert abs((g - 0.5) * 31 - round((g - 0.5) * 31)) < 1e-5 and 0.5 <= g <= 1.5, g
    assert not any(offset)
P'
if command -v gnuplot >/dev/null; then
    check the_report_has_the_recovery eval 'run report c.db -o rep && grep -q "Recovery of bad chips" rep/index.html && grep -q "thresholds are levels of a ladder of 5 bits" rep/index.html'
else skip 'no gnuplot'; fi
check leaky_chips_in_a_campaign eval 'run campaign run lif.yaml -o lif.db -q && run campaign status lif.db && grep -q "18 of 18 chips done" out'
check first_spike_chips_in_a_campaign eval 'run campaign run first.yaml -o first.db -q && run campaign status first.db && grep -q "18 of 18 chips done" out'
bad a_wrong_signature 2 "signature = 'half', want full or final" campaign run s.yaml -o x.db --set signature=half
bad another_ladder_is_another_campaign 3 'ladder_bits (stored 5, asked 4)' campaign run s.yaml -o c.db --set ladder_bits=4

# -- recipes: screen gives the campaign's own knobs and verdicts -----------------------------------------------------
cp "$here/npz.py" lib.py
cat >trip.py <<'P'
import json, sys
from lib import *
mender, rule, drop = sys.argv[1], sys.argv[2], float(sys.argv[3])
z, first, second = npz('trip.npz'), lines('first.json'), lines('second.json')
t = [t for t in lines('trip.json')[0]['thresholds'] if t['rule'] == rule and abs(t['drop'] - drop) < 1e-12][0]
count1, count2, mended = {}, {}, 0
for i, c in enumerate(first):
    v, acc = c['verdict'], z['evaluate_accuracy'][i]
    count1[v] = count1.get(v, 0) + 1
    if v != 'pass':
        mended += 1
        assert max(abs(a - b) for a, b in zip(c['gain'], z['evaluate_gain_' + mender][i])) < 1e-6 and not any(c['offset']), (i, c)
        assert all(1 <= a <= 32 and abs(0.5 + (a - 1) / 31 - g) < 1e-6 for a, g in zip(c['gain_code'], c['gain'])) and not any(c['offset_code'])
    if v == 'full-test': v = 'pass' if acc >= z['ideal_correct_of'] / z['images_of'] - drop else 'tune'
    if v == 'tune': count2[second[i]['verdict']] = count2.get(second[i]['verdict'], 0) + 1
assert mended and count1 == t['first'] and count2 == t['second'], (count1, t['first'], count2, t['second'])
P
sed -i "s/z\['ideal_correct_of'\] \/ z\['images_of'\]/json.load(open('status.json'))['ideal_accuracy']/" trip.py
"$cmd" campaign status c.db --json >status.json
trip() { # MENDER RULE DROP
    run learn c.db --mender "$1" --rule "$2" --drop "$3" --escape 0.1 --predictor boost -o trip.recipe --json && cp out trip.json && "$cmd" campaign export c.db --npz trip.npz --signature final &&
        "$cmd" screen trip.recipe trip.npz:evaluate_signature --codes --json >first.json && "$cmd" screen trip.recipe "trip.npz:evaluate_signature_$1" --after --json >second.json &&
        python3 trip.py "$1" "$2" "$3"
}
for o in 'learned 000 0.05' 'nearest 002 0.05' 'knn 000 0.03' 'ridge 002 0.1'; do check "screen_says_what_the_campaign_said ($o)" trip $o; done
check moments_scale_thresholds eval 'run learn c.db --mender moments --rule 000 --drop 0.05 -o m.recipe && "$cmd" campaign export c.db --npz m.npz --signature moments && run screen m.recipe m.npz:evaluate_signature --json --codes &&
    python3 -c "
import json
for l in open(\"out\"):
    c = json.loads(l)
    assert not any(c[\"offset\"]) and all(1 <= a <= 32 for a in c[\"gain_code\"])"'
check fewer_images_teach_too eval 'run learn c.db --images 3 --mender nearest -o few.recipe && grep -q "of 9 numbers" out'
bad more_images_than_there_are 2 "9 images of the stimulus 'random', want 1..8" learn c.db --images 9
bad fewer_images_of_moments 2 'moments are of all 8 images' learn c.db --images 3 --mender moments
finish
