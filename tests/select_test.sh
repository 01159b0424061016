#!/bin/bash
# select_test.sh - `ohmtrim select`: from a campaign, from a measured matrix, from a network alone; the remix loop stopped and continued.
# The network and its images are tests/tune's.
. "$(dirname "$0")/shell.sh"
cd "$d"
sql() { python3 -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
for q in sys.argv[2:]:
    for row in c.execute(q): print("|".join(str(x) for x in row))' "$@"; }
cat >s.yaml <<Y
network: $here/tune/tiny.onnx
data: npz:$here/tune/tiny.npz
sigma: 0.08
casebook_chips: 40
chips: 12
stimulus_images: 4
backend: ref
tuners: [learned, knn]
tune:
  steps: 4
  lr: 0.02
  polish_steps: 2
Y
run campaign run s.yaml -o c.db -q --threads 2 || { cat err; echo 'FAIL a campaign runs'; }
cp c.db was.db

# -- from a campaign -------------------------------------------------------------------------------------------------
check a_dry_run_changes_nothing eval 'run select c.db -k 3 --sweep 2,5 --dry-run -q && [ "$(grep -Ec "^ +(3|2|5) " out)" = 3 ] && [ "$("$cmd" campaign digest c.db)" = "$("$cmd" campaign digest was.db)" ]'
check its_json eval 'run select c.db -k 3 --sweep 2,5 --dry-run -q --json && python3 -c "
import json
rows = [json.loads(l) for l in open(\"out\")]
assert [r[\"k\"] for r in rows] == [3, 2, 5]
for r in rows:
    assert len(r[\"medoids\"]) == len(r[\"sizes\"]) == r[\"k\"] and sum(r[\"sizes\"]) == 30 and r[\"sizes\"] == sorted(r[\"sizes\"], reverse=True) and 0 < r[\"cv_rmse\"] < 1 and 0 < r[\"random_cv_rmse\"] < 1"'
check medoids_become_a_stimulus eval 'run select c.db -k 3 -q && grep -q "^stimulus .medoids-3.: test image" out && [ "$(sql c.db "SELECT name FROM stimulus_set WHERE id = 1")" = medoids-3 ] && [ "$(sql c.db "SELECT count(*) FROM stimulus WHERE id = 1")" = 3 ]'
check the_same_once_more_is_fine eval 'run select c.db -k 3 -q --json && [ "$(sql c.db "SELECT count(*) FROM stimulus_set")" = 2 ]'
run select c.db -k 4 --name medoids-3 -q --json; check a_name_is_taken_once says 2 "has another stimulus 'medoids-3'"
run learn c.db --stimulus medoids-3; check it_has_to_be_answered_first says 3 'campaign run'
check then_all_chips_answer eval 'run campaign run s.yaml -o c.db -q && [ "$(sql c.db "SELECT count(*) FROM signature WHERE stimulus = 1")" = "$(sql c.db "SELECT count(*) FROM signature WHERE stimulus = 0")" ] && run learn c.db --stimulus medoids-3 --json -o m.recipe'
check what_select_said_is_what_learn_finds eval '"$cmd" select was.db -k 3 --dry-run -q --json >a.json 2>/dev/null && python3 -c "
import json
a, b = json.load(open(\"a.json\")), json.load(open(\"out\"))
assert abs(a[\"cv_rmse\"] - b[\"cv_rmse\"]) < 1e-6, (a[\"cv_rmse\"], b[\"cv_rmse\"])"'
check the_digest_of_what_was_measured_before_is_part_of_it eval '[ "$("$cmd" campaign digest c.db)" != "$("$cmd" campaign digest was.db)" ]'
check tuners_may_look_at_it eval 'cp was.db look.db && sql look.db "DELETE FROM chip WHERE 0" && run campaign run s.yaml -o fresh.db -q --phase casebook && run select fresh.db -k 3 -q && run campaign run s.yaml -o fresh.db -q --set stimulus=medoids-3 && run learn fresh.db && [ "$(sql fresh.db "SELECT count(*) FROM tuning WHERE tuner = '"'learned'"'")" = 52 ]'
run campaign run s.yaml -o c.db -q --set stimulus=medoids-3; check but_not_change_once_chips_are_measured says 3 stimulus
check an_exported_casebook_carries_it eval 'run campaign export c.db --npz m.npz --stimulus medoids-3 && run tune "$here/tune/tiny.onnx" --data "npz:$here/tune/tiny.npz" --backend ref --sigma 0.08 --chip 41 --tuner learned --casebook m.npz -q --json'

# -- the remix loop --------------------------------------------------------------------------------------------------
run select c.db -k 3 --remix 6 --candidates 8 --seed 3 --name whole --state whole.npz -q --json; cp out whole.json
check a_loop_reports_every_round eval '[ "$(grep -c "\"round\"" whole.json)" = 7 ] && [ "$(sql c.db "SELECT count(*) FROM stimulus s JOIN stimulus_set t ON t.id = s.id WHERE t.name = '"'whole'"'")" = 3 ]'
check the_best_is_kept eval 'python3 -c "
import json
r = [json.loads(l) for l in open(\"whole.json\")]; r = [x for x in r if \"round\" in x]
best = 9
for x in r: best = min(best, x[\"rmse\"]); assert x[\"best_rmse\"] == best"'
check a_loop_goes_on_from_its_state eval 'run select c.db -k 3 --remix 5 --candidates 8 --seed 3 --name five --state five.npz -q && run select c.db -k 3 --remix 6 --candidates 8 --seed 3 --name six --state five.npz -q && cmp whole.npz five.npz && grep -q "\"best_round\":[1-9]" whole.json'
stopped() { # killed where it stands, again and again
    local n=0
    while ! timeout -s KILL 0.0$((2 + n % 7)) "$cmd" select c.db -k 3 --remix 6 --candidates 8 --seed 3 --name parts --state parts.npz -q --json --threads $((1 + n % 2)) >>parts.json 2>err; do n=$((n + 1)); [ $n -lt 200 ] || return 1; done
    cmp whole.npz parts.npz
}
check kills_do_not_change_the_loop stopped 2>/dev/null
check nor_the_images eval '[ "$(sql c.db "SELECT hex(i.pixels), i.what FROM stimulus_image i JOIN stimulus_set t ON t.id = i.id WHERE t.name = '"'whole'"' ORDER BY position")" = "$(sql c.db "SELECT hex(i.pixels), i.what FROM stimulus_image i JOIN stimulus_set t ON t.id = i.id WHERE t.name = '"'parts'"' ORDER BY position")" ]'
run select c.db -k 3 --remix 6 --candidates 9 --seed 3 --state whole.npz --name x -q --json; check a_state_of_another_loop eval '[ $last = 3 ] && grep -q "8 candidates.*asked for.* 9" err'
head -c 300 whole.npz >cut.npz; run select c.db -k 3 --remix 6 --candidates 8 --seed 3 --state cut.npz --name x -q --json; check a_state_that_is_cut eval '[ $last != 0 ] && grep -q cut.npz err && [ "$(wc -l <err)" = 1 ]'
check filtered_images_are_answered_too eval 'run campaign run s.yaml -o c.db -q && run learn c.db --stimulus whole -o whole.recipe && run campaign export c.db --npz whole-book.npz --stimulus whole && run tune "$here/tune/tiny.onnx" --data "npz:$here/tune/tiny.npz" --backend ref --sigma 0.08 --chip 41 --tuner learned --casebook whole-book.npz -q --json'

# -- images of a file ------------------------------------------------------------------------------------------------
check synthetic_images eval 'run select --synthesise "$here/tune/tiny.onnx" -k 3 --candidates 12 --steps 20 --chips 10 --backend ref -o made.npz -q && grep -q "made.npz: 3 images" out'
check go_in_as_well eval 'run select c.db --add made.npz --name made && run campaign run s.yaml -o c.db -q && run learn c.db --stimulus made && [ "$(sql c.db "SELECT image FROM stimulus s JOIN stimulus_set t ON t.id = s.id WHERE t.name = '"'made'"' LIMIT 1")" = -1 ]'

# -- a measured matrix -------------------------------------------------------------------------------------------------
python3 - <<'P'
import struct
def npy(path, rows, t, c):
    flat = [x for r in rows for x in r]; head = repr({'descr': t, 'fortran_order': False, 'shape': (len(rows), len(rows[0]))}); head += ' ' * ((-len(head) - 11) % 64) + '\n'
    open(path, 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode() + struct.pack('<%d%s' % (len(flat), c), *flat))
easy, hard, odd = [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1], [0, 0, 1, 1, 1, 1]
v = [easy, hard, easy, odd, hard, easy, [1, 1, 1, 1, 1, 0]]
npy('v.npy', v, '|u1', 'B'); npy('f.npy', v, '<f8', 'd'); npy('two.npy', [[0, 1, 2]] * 4, '<i8', 'q'); npy('nan.npy', [[0, 1, float('nan')]] * 4, '<f8', 'd')
P
check a_matrix_is_clustered eval 'run select --correct v.npy -k 3 --json && cp out v.json && python3 -c "
import json
o = json.load(open(\"v.json\"))
assert o[\"medoids\"] == [0, 1, 3] and o[\"sizes\"] == [4, 2, 1] and o[\"labels\"] == [0, 1, 0, 2, 1, 0, 0] and len(o[\"heights\"]) == 6 and o[\"heights\"][:3] == [0, 0, 0]"'
check whatever_its_type eval 'run select --correct f.npy -k 3 --json && cmp out v.json'
check linkages eval 'for l in ward average complete; do run select --correct v.npy -k 2 --linkage $l || exit 1; done'
run select --correct two.npy -k 2; check not_zero_or_one says 3 'two.npy: image 0, chip 2 is 2, want 0 or 1'
run select --correct nan.npy -k 2; check nor_nan says 3 'nan'
run select --correct v.npy -k 8; check more_clusters_than_images says 2 'k = 8, want 1..7'
run select c.db -k 31 -q; check more_than_a_campaign_has says 2 'want 1..30'
usage() { run "$@"; [ $? = 2 ]; }
check a_source_is_wanted usage select -k 3
check one_source_is_wanted usage select c.db --correct v.npy
check options_have_their_source usage select --correct v.npy --remix 3
check a_linkage_that_is_none usage select c.db --linkage single
run select nosuch.db; check no_such_file says 3 nosuch.db
run select c.db -k 3 --name 'a b' -q --json; check a_name_with_a_space eval 'grep -q "stimulus name" err'

finish
