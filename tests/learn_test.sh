#!/bin/bash
# learn_test.sh - `ohmtrim learn`: from a campaign and from arrays to a recipe, and back: the verdicts that `campaign status --verdicts` reports are
# those that `screen` gives on the exported signatures.  The network and its images are tests/tune's.
. "$(dirname "$0")/shell.sh"
cd "$d"
bad() { # NAME EXIT WORDS ARGUMENTS...: learn with these arguments fails so, and writes no recipe
    local name=$1 code=$2 words=$3; shift 3
    rm -f bad.recipe
    run learn "$@" -o bad.recipe; check "$name" says "$code" "$words"
    check "${name}_leaves_no_recipe" [ ! -e bad.recipe ]
}
cat >s.yaml <<Y
network: $here/tune/tiny.onnx
data: npz:$here/tune/tiny.npz
sigma: 0.08
casebook_chips: 240
chips: 60
stimulus_images: 4
backend: ref
tuners: [learned, nearest, knn, ridge, moments]
tune:
  steps: 6
  lr: 0.02
  polish_steps: 2
Y
cp "$here/npz.py" lib.py

# -- from a campaign -------------------------------------------------------------------------------------------------
run campaign run s.yaml -o c.db -q --threads 2 || { cat err; echo 'FAIL a campaign runs'; }
check status_prints_every_rule eval 'run campaign status c.db --verdicts && grep -q "^000 .* 5 " out && grep -q "^002 .* 5 " out && grep -q "^conformal .* 5 " out'
check status_as_json_too eval 'run campaign status c.db --verdicts --json && cp out status.json && python3 -c "
from lib import *
v = lines(\"status.json\")[0][\"verdicts\"]
assert len(v[\"thresholds\"]) == 15 and v[\"evaluation\"][\"chips\"] == 60
for t in v[\"thresholds\"]:
    assert t[\"escape\"][\"low\"] <= t[\"escape\"][\"value\"] <= t[\"escape\"][\"high\"]
    assert abs(t[\"escape\"][\"value\"] * 60 - t[\"escaped_first\"] - t[\"escaped_second\"]) < 1e-9 and sum(t[\"first\"].values()) == 60"'
if command -v gnuplot >/dev/null; then
    check the_report_has_the_verdicts eval 'run report c.db -o rep && [ "$(grep -Ec "^<tr><td>(000|002|conformal)<td>" rep/index.html)" = 15 ] && grep -q "The predictive test" rep/index.html'
else skip 'no gnuplot'; fi
check the_files_are_not_changed eval '[ "$("$cmd" campaign digest c.db)" = "$(cp c.db d.db; "$cmd" learn d.db -o d.recipe >/dev/null; "$cmd" campaign digest d.db)" ]'

# The round trip: what `screen` says on the exported signatures, chip by chip, adds up to the campaign's own verdicts; knobs are the tuner's.
cat >trip.py <<'P'
from lib import *
kind, mender, drop, rule = sys.argv[1:5]
z, first, second = npz('trip.npz'), lines('first.json'), lines('second.json')
t = [t for t in lines('trip.json')[0]['thresholds'] if t['rule'] == rule and abs(t['drop'] - float(drop)) < 1e-12][0]
ideal, images = z['ideal_correct_of']
cut = ideal / images - float(drop)
a, b = z['evaluate_accuracy'], z['evaluate_accuracy_' + mender]
if mender != 'moments':        # the campaign's tuners look at full signatures; moments' knobs come from one network run a layer: what the test floor gives from the stored moments differs in the last bits
    for i, c in enumerate(first): assert kind == 'final' or c['verdict'] == 'pass' or c['gain'] == z['evaluate_gain_' + mender][i] or max(abs(x - y) for x, y in zip(c['gain'] + c['offset'], z['evaluate_gain_' + mender][i] + z['evaluate_offset_' + mender][i])) < 1e-6, (i, c)
count1, count2, shipped, escaped = {}, {}, 0, 0
for i in range(len(a)):
    v, acc = first[i]['verdict'], a[i]
    count1[v] = count1.get(v, 0) + 1
    if v == 'full-test': v = 'pass' if acc >= cut else 'tune'
    if v == 'tune':
        v, acc = second[i]['verdict'], b[i]
        count2[v] = count2.get(v, 0) + 1
        if v == 'full-test': v = 'pass' if acc >= cut else 'reject'
    shipped += v == 'pass'; escaped += v == 'pass' and acc < cut
assert count1 == t['first'] and count2 == t['second'], (count1, t['first'], count2, t['second'])
assert len(a) - shipped == t['rejected'] and escaped == t['escaped_first'] + t['escaped_second']
P
trip() { # SIGNATURE MENDER DROP RULE
    local o="--signature $1 --mender $2 --drop $3 --rule $4 --escape 0.1"
    run learn c.db $o -o trip.recipe --json && cp out trip.json && "$cmd" campaign export c.db --npz trip.npz --signature $1 &&
        "$cmd" screen trip.recipe trip.npz:evaluate_signature --json >first.json && "$cmd" screen trip.recipe "trip.npz:evaluate_signature_$2" --after --json >second.json &&
        python3 trip.py "$1" "$2" "$3" "$4"
}
for o in 'full learned 0.05 000' 'full learned 0.1 conformal' 'full nearest 0.1 002' 'full knn 0.05 conformal' 'full ridge 0.1 000' 'final learned 0.1 002' 'moments moments 0.1 000'; do
    check "screen_says_what_the_campaign_said ($o)" trip $o
done
check full_tests_end_in_pass_tune_or_reject eval '"$cmd" screen trip.recipe trip.npz:evaluate_signature --accuracy trip.npz:evaluate_accuracy --json | grep -q "\"verdict\":\"tune\"" &&
    "$cmd" screen trip.recipe trip.npz:evaluate_signature_moments --after --accuracy trip.npz:evaluate_accuracy_moments --json | grep -q "\"verdict\":\"reject\""'
same() { "$cmd" learn c.db -o "$1" --threads "$2" >/dev/null 2>&1; }
check threads_do_not_change_the_recipe eval 'same a.recipe 1 && same b.recipe 3 && cmp a.recipe b.recipe'
check seeds_do eval '"$cmd" learn c.db --seed 7 >out && cp out seven && "$cmd" learn c.db >out && ! cmp -s out seven'
check more_kinds eval 'for k in "--predictor boost" "--predictor ridge" "--predictor mars --degree 2" "--screen pca-mcd" "--screen mcd" "--clusters 5 --folds 4"; do run learn c.db $k || exit 1; done'

# -- from arrays: no network, no campaign ----------------------------------------------------------------------------
"$cmd" campaign export c.db --npz c.npz
python3 - <<'P'
from lib import *
z = npz('c.npz'); s, a, g, o = z['signature'], z['accuracy'], z['gain'], z['offset']
npy('s.npy', s); npy('a.npy', a, 'd'); npy('k.npy', [x + y for x, y in zip(g, o)])
npy('short.npy', a[:-1], 'd'); npy('narrow.npy', [r[:-1] for r in s]); npy('flat.npy', a)
npy('nan.npy', s[:7] + [[float('nan')] + s[7][1:]] + s[8:]); npy('above.npy', a[:3] + [1.25] + a[4:], 'd'); npy('equal.npy', [0.5] * len(a), 'd')
npy('same.npy', [s[0]] * len(s)); npy('constant.npy', [[1.0] * 5] * len(s)); npy('few_s.npy', s[:9]); npy('few_a.npy', a[:9], 'd'); npy('odd.npy', [x + y[:0] + [1.0, 1.0] for x, y in zip(g, o)])
npy('wide.npy', [r * 20 for r in s[:40]]); npy('wide_a.npy', a[:40], 'd'); npy('nanknob.npy', [[float('inf')] + x[1:] + y for x, y in zip(g, o)])
P
check arrays_make_the_same_judge eval '"$cmd" learn c.db --cutoff 0.9 -o one.recipe --json >one.json && "$cmd" learn --signatures c.npz:signature --accuracy c.npz:accuracy --knobs k.npy --cutoff 0.9 -o two.recipe --json >two.json &&
    "$cmd" screen one.recipe c.npz:evaluate_signature --json >a.json && "$cmd" screen two.recipe c.npz:evaluate_signature --json >b.json && python3 -c "
from lib import *
for a, b in zip(lines(\"a.json\"), lines(\"b.json\")): assert a[\"predicted_accuracy\"] == b[\"predicted_accuracy\"] and a[\"distance\"] == b[\"distance\"] and a[\"verdict\"] == b[\"verdict\"]"'
check knobs_make_a_casebook eval 'run learn --signatures s.npy --accuracy a.npy --knobs k.npy --cutoff 0.9 -o k.recipe --json && grep -q "\"casebook\":240" out && "$cmd" screen k.recipe s.npy --json | grep -q "\"nearest\""'
check a_second_judge_from_arrays eval 'run learn --signatures s.npy --accuracy a.npy --tuned-signatures c.npz:tuned_signature --tuned-accuracy c.npz:tuned_accuracy --cutoff 0.9 -o t.recipe --json && grep -q after_cv_sd out &&
    "$cmd" screen t.recipe s.npy --after --json >out'
check fewer_chips_than_features eval 'run learn --signatures wide.npy --accuracy wide_a.npy --cutoff 0.9 && grep -q "40 chips, 320 of 320" out'
both='--cutoff 0.9'
bad lengths_differ 3 '240 signatures, short.npy: 239 accuracies' --signatures s.npy --accuracy short.npy $both
bad a_signature_with_nan 3 'signature 7, number 0 is nan' --signatures nan.npy --accuracy a.npy $both
bad an_accuracy_above_1 3 'accuracy of chip 3 is 1.25' --signatures s.npy --accuracy above.npy $both
bad all_chips_equally_accurate 3 'all 240 chips have the accuracy 0.5' --signatures s.npy --accuracy equal.npy $both
bad all_chips_answer_alike 3 'want' --signatures same.npy --accuracy a.npy $both
bad constant_features 3 'want' --signatures constant.npy --accuracy a.npy $both
bad too_few_chips 2 '9 chips to learn from, want at least 10' --signatures few_s.npy --accuracy few_a.npy $both
bad one_dimension 3 'want 2' --signatures flat.npy --accuracy a.npy $both
bad knobs_of_odd_length 3 'odd.npy' --signatures s.npy --accuracy a.npy --knobs odd.npy $both
bad knobs_not_finite 3 'gain' --signatures s.npy --accuracy a.npy --knobs nanknob.npy $both
bad no_such_array 3 'nothere' --signatures c.npz:nothere --accuracy a.npy $both
bad no_such_file 3 'gone.npy' --signatures gone.npy --accuracy a.npy $both
bad too_strict_an_escape 2 'want at least 19999 chips' --signatures s.npy --accuracy a.npy $both --rule conformal --escape 0.0001
check without_knobs_chips_are_only_judged eval 'run learn --signatures s.npy --accuracy a.npy --cutoff 0.9 -o none.recipe && grep -q "mender none" out && "$cmd" screen none.recipe s.npy --json >out && grep -q "\"gain\":null" out && "$cmd" screen none.recipe s.npy --csv - >out && ! grep -q gain out'
bad ridge_wants_knobs 3 'knobs' --signatures s.npy --accuracy a.npy $both --mender ridge
usage() { run "$@"; [ $? = 2 ]; }
check arrays_want_a_cutoff usage learn --signatures s.npy --accuracy a.npy
check signatures_want_accuracies usage learn --signatures s.npy --cutoff 0.9
check a_campaign_or_arrays usage learn c.db --signatures s.npy --accuracy a.npy --cutoff 0.9
check something_to_learn_from usage learn
check moments_want_a_campaign usage learn --signatures s.npy --accuracy a.npy --cutoff 0.9 --mender moments
check a_rule_that_is_none usage learn c.db --rule strict
check an_empty_casebook eval '! run campaign run s.yaml -o e.db -q --set casebook_chips=0 --set tuners=closed-form; run learn e.db; [ $? = 3 ] && grep -q "casebook is empty" err'
run campaign status e.db --verdicts; check verdicts_want_a_tuner_of_signatures says 3 e.db 'learned, nearest, knn, ridge or moments'
run learn c.db --stimulus other; check a_stimulus_that_is_not_there says 2 c.db "no stimulus 'other'"

# -- recalibration ---------------------------------------------------------------------------------------------------
check updates_teach_too eval 'run campaign run s.yaml -o more.db -q --seed 2 --set casebook_chips=60 --set chips=0 && "$cmd" campaign export more.db --npz more.npz &&
    run learn c.db --update more.npz -o u.recipe --json && grep -q "\"chips\":300," out && grep -q "\"casebook\":300," out'
check updates_of_arrays_too eval 'run learn --signatures s.npy --accuracy a.npy --knobs k.npy --cutoff 0.9 --update more.npz --update more.npz --json && grep -q "\"chips\":360," out && grep -q "\"casebook\":360," out'
bad an_update_of_another_length 3 'numbers' --signatures narrow.npy --accuracy a.npy --update more.npz $both

# -- the campaign's side ---------------------------------------------------------------------------------------------
sql() { python3 -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
for q in sys.argv[2:]:
    for row in c.execute(q): print("|".join(str(x) for x in row))' "$@"; }
check every_chip_answers_with_every_knobs eval '[ "$(sql c.db "SELECT count(*) FROM signature")" = "$(sql c.db "SELECT count(*) FROM measurement")" ]'
check every_fold_was_tuned_by_the_others eval '[ "$(sql c.db "SELECT tuner, count(*) FROM tuning t JOIN chip c ON c.number = t.chip WHERE c.role = '"'casebook'"' GROUP BY tuner ORDER BY tuner" | tr "\n" " ")" = "exhaustive|240 knn|240 learned|240 moments|240 nearest|240 ridge|240 " ]'
check no_chip_is_its_own_neighbour eval '[ "$(sql c.db "SELECT count(*) FROM tuning t JOIN chip c ON c.number = t.chip WHERE c.role = '"'casebook'"' AND t.nearest % 5 = t.chip % 5")" = 0 ]'
want=$("$cmd" campaign digest c.db)
old() { # A file as version 1 left it: without the tables and rows that came since.
    cp c.db old.db && sql old.db "DELETE FROM signature WHERE knobs <> 'untuned'" 'DROP TABLE stimulus_set' 'DROP TABLE stimulus_image' 'DROP TABLE moments' 'DROP TABLE ideal_response' "DELETE FROM spec WHERE key = 'stimulus'" \
        "DELETE FROM measurement WHERE knobs <> 'exhaustive' AND knobs <> 'untuned' AND chip IN (SELECT number FROM chip WHERE role = 'casebook')" \
        "DELETE FROM tuning WHERE tuner <> 'exhaustive' AND chip IN (SELECT number FROM chip WHERE role = 'casebook')" 'PRAGMA user_version = 1'
}
check an_old_file_is_still_read eval 'old && run campaign status old.db && run learn old.db; [ $? = 3 ] && grep -q "older ohmtrim" err'
check and_completed_by_running_it eval 'run campaign run s.yaml -o old.db -q && [ "$("$cmd" campaign digest old.db)" = "$want" ] && run learn old.db'
folds() { # stopped again and again, continued with other threads
    local n=0
    while ! timeout -s KILL 0.$((2 + n % 7)) "$cmd" campaign run s.yaml -o k.db -q --threads $((1 + n % 3)) >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 60 ] || return 1; done
    [ "$("$cmd" campaign digest k.db)" = "$want" ]
}
check kills_and_threads_do_not_change_the_digest folds 2>/dev/null

finish
