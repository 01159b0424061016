#!/bin/bash
# screen_test.sh - `ohmtrim screen` and the test floor's library: outputs, refusals, what it links, that judging allocates nothing; the
# examples; a reader of recipes in Python.  With safetensors and numpy in $OHMTRIM_PYTHON that reader is held against theirs.
. "$(dirname "$0")/shell.sh"
verb=(screen)
ok() { if "${@:2}" >"$d/out" 2>"$d/err"; then pass; else fail "$1"; fi; }
status() { local n=$1 st=$2 rc; shift 2; run "$@"; rc=$?; [ $rc = "$st" ] && pass || fail "$n (status $rc, want $st)"; }

r=$top/examples/small.recipe c=$top/examples/small.csv
cd "$d"
good 'a table' '^   3    85.20 %   83.20.. 87.20 %      1.24  tune       0 \(0.371\)$' "$r" "$c"
good 'its knobs' '^      gain   1.1 1.05$' "$r" "$c"
good 'its sum' '^6 chips: 2 pass, 3 tune, 1 full-test, 0 reject; 1 outliers$' "$r" "$c"
good 'codes in a table' '^      offset 5 0$' "$r" "$c" --codes
good 'JSON lines' '^\{"index":0,"predicted_accuracy":0.896[0-9]*,"low":0.876[0-9]*,"high":0.916[0-9]*,"distance":0.1[0-9]*,"outlier":false,"verdict":"pass","gain":\[1,1\],"offset":\[0,0\]' "$r" "$c" --json
good 'an outlier' '"index":5.*"outlier":true,"verdict":"full-test".*"nearest":1' "$r" "$c" --json
good 'codes' '"gain_code":\[3072,3584\],"offset_code":\[65523,65533\],"clamped":0,"nearest":2' "$r" "$c" --json --codes
good 'CSV' '^3,0.85199[0-9]*,0.83199[0-9]*,0.8719[0-9]*,1.2427[0-9]*,0,tune,,0,0.3709[0-9]*,1.1,1.05,0.02,0,0$' "$r" "$c" --csv -
run "$r" "$c" --csv -; awk -F, 'NR == 1 {n = NF} NF != n {bad = 1} END {exit bad || NR != 7}' out && pass || fail 'CSV has as many fields as names'
run "$r" "$c" --csv f.csv && "$cmd" screen "$r" "$c" --csv - | cmp - f.csv && [ ! -s out ] && pass || fail 'CSV to a file'
good 'after' '^   4    78.00 %.*full-test$' "$r" "$c" --after
good 'after, as JSON' '"verdict":"full-test","gain":null,"offset":null,"nearest":null' "$r" "$c" --after --json
good 'chips with their knobs set' '^6 chips: 5 pass, 0 tune, 1 full-test' "$r" "$top/examples/small-after.csv" --after
good 'another cutoff' '^6 chips: 0 pass, 5 tune, 1 full-test' "$r" "$c" --cutoff 0.95
status 'fail on tune' 1 "$r" "$c" --fail-on tune
status 'fail on outlier' 1 "$r" "$c" --fail-on reject,outlier
status 'no reject' 0 "$r" "$c" --fail-on reject
good 'the right network' '^6 chips' "$r" "$c" --network 'an example made by hand'
printf '0.8\nnan\n0.8\n0.9\n\nnan\n0.2\n' >acc.csv
good 'full tests' '^6 chips: 2 pass, 4 tune, 0 full-test, 0 reject' "$r" "$c" --accuracy acc.csv
good 'a chip that passed and failed gets knobs' '"index":0.*"verdict":"tune","accuracy":0.8,"screen_verdict":"pass","gain":\[0.9,0.95\]' "$r" "$c" --accuracy acc.csv --json
good 'a chip that is good gets none' '"index":3.*"verdict":"pass","accuracy":0.9,"screen_verdict":"tune","gain":\[1,1\]' "$r" "$c" --accuracy acc.csv --json
good 'full tests after' '^6 chips: 2 pass, 0 tune, 1 full-test, 3 reject' "$r" "$c" --after --accuracy acc.csv
status 'fail on reject' 1 "$r" "$c" --after --accuracy acc.csv --fail-on reject

# numpy files, made with printf: float32 and float64, one row and two
npy() { printf '\x93NUMPY\x01\x00\x76\x00'; printf "%-117s\n" "{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"; }
ones4=$(printf '\\x00\\x00\\x80\\x3f%.0s' {1..10}); ones8=$(printf '\\x00\\x00\\x00\\x00\\x00\\x00\\xf0\\x3f%.0s' {1..10})
{ npy '<f4' '2, 10'; printf "$ones4$ones4"; } >two.npy
{ npy '<f8' '10,'; printf "$ones8"; } >one.npy
{ npy '<i4' '10,'; printf "$ones4"; } >whole.npy
{ npy '<f4' '2, 5'; printf "$ones4"; } >short.npy
{ npy '<f4' '10,'; printf "${ones4%????????????????}\\x00\\x00\\xc0\\x7f"; } >nan.npy
good 'float32, two chips' '^2 chips' "$r" two.npy
good 'float64, one chip' '^1 chips' "$r" one.npy
bad 'npy of whole numbers' 3 'whole.npy: whole numbers, want an array of float32 or float64' "$r" whole.npy
bad 'npy of the wrong length' 3 'short.npy: rows of 5 numbers, want 10' "$r" short.npy
bad 'a NaN in npy' 3 'nan.npy: row 0, number 9 (from 0) is nan, want finite' "$r" nan.npy

line=$(grep -v '^#' "$c" | head -n 1)
printf 'a,b,c,d,e,f,g,h,i,j\r\n\n%s\r\n' "$line" >crlf.csv; good 'a header, a gap, CR LF' '^1 chips' "$r" crlf.csv
printf '%s' "$line" >noend.csv; good 'no newline at the end' '^1 chips' "$r" noend.csv
printf '#x\n%s\n1,2,3\n' "$line" >few.csv; bad 'too few numbers' 3 'few.csv: line 3 has 3 numbers, want 10' "$r" few.csv
echo "$line" | sed 's/1.01/one/' >word.csv; bad 'a first line that begins with a word is a header' 3 'word.csv: no line with numbers' "$r" word.csv
printf '%s\n%s\n' "$line" "${line/0.495/x0.4}" >word.csv; bad 'a word among numbers' 3 "word.csv: line 2, column 3: 'x0.4', want a number" "$r" word.csv
printf '%s\n' "${line/0.495/nan}" >nan.csv; bad 'nan' 3 "nan.csv: line 1, column 3: 'nan', want a finite number" "$r" nan.csv
printf 'nan%s\n' "${line#1.01}" >nan.csv; bad 'nan in front is no header' 3 "nan.csv: line 1, column 1: 'nan'" "$r" nan.csv
printf '%s\n' "${line/0.495/1e400}" >inf.csv; bad 'infinite' 3 "inf.csv: line 1, column 3: '1e400', want a finite number" "$r" inf.csv
printf '%s\n' "${line/0.495/1e39}" >inf.csv; bad 'too large for a float' 3 'inf.csv: chip 0: signature: number 2 (image 0, class 0) is inf, want finite' "$r" inf.csv
printf '%s\n' "${line/0.495/}" >gap.csv; bad 'an empty field' 3 "gap.csv: line 1, column 3: '', want a number" "$r" gap.csv
: >empty.csv; bad 'an empty file' 3 'empty.csv: no line with numbers' "$r" empty.csv
bad 'no such file' 3 'none.csv: No such file' "$r" none.csv
printf '0.8\n' >acc1.csv; bad 'too few accuracies' 3 'acc1.csv: 1 accuracies' "$r" "$c" --accuracy acc1.csv
printf '80\n%.0s' {1..6} >acc2.csv; bad 'accuracies in percent' 3 'acc2.csv: accuracy 0 (from 0) is 80, want 0..1' "$r" "$c" --accuracy acc2.csv
bad 'another network' 3 "is for network 'an example made by hand'" "$r" "$c" --network resnet20
bad 'no recipe' 3 'no.recipe: No such file' no.recipe "$c"
bad 'a folder' 3 '.: ' . "$c"
bad 'something else' 3 'small.csv: a header of' "$c" "$c"
head -c 3000 "$r" >cut.recipe; bad 'a truncated recipe' 3 'cut.recipe: tensor' cut.recipe "$c"
sed 's/"version":"1"/"version":"7"/' "$r" >new.recipe; bad 'a newer recipe' 3 "new.recipe: a recipe of version '7'" new.recipe "$c"
sed 's/"after.predictor"/"xfter.predictor"/' "$r" >bad.recipe; bad 'a corrupted recipe' 3 "bad.recipe: tensor 'after.mean' has no place" bad.recipe "$c"
{ head -c $(($(stat -c %s "$r") - 76)) "$r"; printf '\x00\x00\xc0\x7f'; tail -c 72 "$r"; } >nan.recipe
bad 'NaN in stored knobs' 3 "nan.recipe: tensor 'cases.gain' holds nan (number 0 of 6), want finite" nan.recipe "$c"
bad 'a wrong verdict to fail on' 2 "--fail-on = 'good': 'good', want" "$r" "$c" --fail-on good
bad 'a wrong cutoff' 2 "--cutoff = '80'" "$r" "$c" --cutoff 80
bad 'one word' 2 'want a recipe and signatures' "$r"
bad 'three words' 2 'one word too many' "$r" "$c" "$c"
bad 'CSV and JSON' 2 'exclude each other' "$r" "$c" --csv - --json
bad 'a folder that is not there' 4 'no/such.csv' "$r" "$c" --csv no/such.csv

cp "$top"/examples/*.recipe "$top"/examples/*.csv . && cp "$top/examples/test_floor_loop.sh" .
OHMTRIM=$cmd ok 'the test floor loop' ./test_floor_loop.sh
grep -q '^6 chips: 2 passed, 3 mended, 1 wait for a full test$' out && pass || fail 'what the loop says'

# What the library links, and that it judges without malloc.
cd "$top"
lib=$(make --no-print-directory -s where) san=${SANITIZE:+-fsanitize=$SANITIZE}
if [ -e "$lib/libohmtrim-floor.a" ]; then
    ok 'a program of the floor library builds' gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -Wno-missing-prototypes $san ${SANITIZE:+-DNO_COUNT} -Iinclude -o "$d/heap" tests/screen/heap.c "$lib/libohmtrim-floor.a" -lm
    ok 'an example of it builds' gcc -std=c11 -Wall -Wextra -Werror $san -Iinclude -o "$d/screen" examples/04_screen.c "$lib/libohmtrim-floor.a" -lm
    ok 'judging 10,000 chips allocates nothing' "$d/heap" examples/small.recipe tests/fuzz/corpus/recipe/*
    ok 'the example runs' "$d/screen"
    grep -q 'chip 1: accuracy 0.852 (0.832..0.872), tune' "$d/out" && pass || fail 'what the example says'
    if [ -z "$san" ]; then
        ldd "$d/heap" >"$d/out"
        grep -vqE '^\s*(linux-vdso|linux-gate|lib(c|m)\.so|/lib.*/?ld-linux|/lib64/ld-)' "$d/out" && fail 'the floor library needs more than libc and libm' || pass
    fi
    ok 'a writer of recipes builds' gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror $san -Iinclude -I. -o "$d/make" tests/screen/make_recipe.c "$lib/libohmtrim.a" $(make --no-print-directory -s libs)
    "$d/make" example "$d/small.recipe" && cmp "$d/small.recipe" examples/small.recipe >"$d/out" 2>&1 && pass || fail 'examples/small.recipe is what make_recipe writes, byte for byte'
    "$d/make" random "$d/knn.recipe" boost pca-mcd knn final 0 && cmp "$d/knn.recipe" tests/fuzz/corpus/recipe/boost >"$d/out" 2>&1 && pass || fail 'equal recipes have equal bytes'
else skip "no library in $lib"; fi

cat >"$d/read.py" <<'PY'
import json, struct, sys
data = open(sys.argv[1], 'rb').read()
n, = struct.unpack('<Q', data[:8])
head = json.loads(data[8:8 + n].decode('utf-8'))
assert n % 8 == 0 and head.pop('__metadata__')['format'] == 'ohmtrim.recipe'
size, code, at, tensors = {'F64': 8, 'F32': 4, 'I32': 4, 'U8': 1}, {'F64': 'd', 'F32': 'f', 'I32': 'i', 'U8': 'B'}, 0, {}
for name, t in sorted(head.items(), key=lambda kv: kv[1]['data_offsets']):
    begin, end = t['data_offsets']
    count = 1
    for m in t['shape']: count *= m
    assert begin == at and end - begin == count * size[t['dtype']] and begin % size[t['dtype']] == 0, name
    at, tensors[name] = end, struct.unpack('<%d%s' % (count, code[t['dtype']]), data[8 + n + begin:8 + n + end])
assert at == len(data) - 8 - n
try:
    from safetensors.numpy import load_file
    theirs = load_file(sys.argv[1])
    assert theirs.keys() == tensors.keys() and all((theirs[k].ravel() == tensors[k]).all() for k in theirs)
    print('safetensors agrees')
except ImportError: pass
if 'small' in sys.argv[1]:
    assert tensors['before.feature'] == (0, 1, 4) and tensors['rule.numbers'] == (0.85, 0.01, 0.01, 1.0, 0.0) and tensors['stimulus'] == (0, 64, 128, 255, 255, 128, 64, 0)
PY
python=${OHMTRIM_PYTHON:-python3}
if command -v "$python" >/dev/null; then for g in examples/small.recipe tests/fuzz/corpus/recipe/*; do ok "Python reads $g" "$python" "$d/read.py" "$g"; done
else skip "no python3 to read recipes with"; fi
finish
