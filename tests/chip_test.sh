#!/bin/bash
# chip_test.sh - `ohmtrim chip`: what it prints, dumps and writes, and what it refuses.
. "$(dirname "$0")/shell.sh"
verb=(chip)
net=$top/tests/golden/trelu/model.onnx
cd "$d"
weights=5648         # of the file's crossbar layers: 5,658 with the dense layer's biases
# says NAME PATTERN COUNT: the extended regular expression stands COUNT times in ./out
says() { [ "$(grep -oE -- "$2" out | wc -l)" = "$3" ] && pass || fail "$1"; }

good 'a chip in words' '^chip 17 of .*: delta_sys [+-]0\.0' "$net" 17
good 'a chip as JSON' '^\{"chip":17,"seed":1,"delta_sys":' "$net" 17 --json
n='-?[0-9][-+.e0-9]*'
says 'all fields of 7 layers' "\\{\"name\":\"[^\"]+\",\"weights\":[0-9]+,\"mean\":$n,\"sd\":$n,\"scale\":$n\\}" 7
says 'delta_sys is plausible' '"delta_sys":-?0\.[0-2][0-9]*[1-9],' 1
[ "$(grep -oE '"weights":[0-9]+' out | awk -F: '{n += $2} END {print n}')" = "$weights" ] && pass || fail "every weight is in a layer"
cp out first
run "$net" 17 --json && cmp -s out first && pass || fail 'the same chip again'
run "$net" 18 --json && ! cmp -s out first && pass || fail 'another chip'
good 'the largest seed' '"seed":18446744073709551615,' "$net" 17 --seed 18446744073709551615 --json
good 'the last chip' '"chip":4294967295,' "$net" 4294967295 --json
good 'without variation' '"delta_sys":0,' "$net" 17 --sigma 0 --json --dump ideal.npz
good 'a dump' '"hash"' "$net" 17 --json --dump chip.npz --sigma 0.016 --bits 6
[ -s err ] && pass || fail 'a dump is said'
good 'quietly' 'layers' "$net" 17 --json --dump chip.npz -q
[ ! -s err ] && pass || fail 'quiet is quiet'
if python3 -c 'import numpy' 2>/dev/null; then
    run "$net" 17 --json --dump chip.npz -q
    python3 - <<'P' && pass || fail 'the dump reads back'
import json, numpy as np, sys
o, z, ideal = json.load(open("out")), np.load("chip.npz"), np.load("ideal.npz")
assert sorted(z.files) == sorted(l["name"] for l in o["layers"]) == sorted(ideal.files), z.files
h = 0xcbf29ce484222325
for l in o["layers"]:
    w, i = z[l["name"]], ideal[l["name"]]
    assert w.dtype == np.float32 and w.ndim in (2, 4) and w.size == l["weights"] and w.shape == i.shape, (l, w.shape)
    assert abs(w.mean(dtype=np.float64) - l["mean"]) < 1e-12 and abs(w.std(dtype=np.float64) - l["sd"]) < 1e-9, l
    assert np.abs(i).max() == np.float32(l["scale"]), l
    gain = (w * i).sum() / (i * i).sum()
    assert 0.5 < gain < 1.6 and np.corrcoef(w.ravel(), i.ravel())[0, 1] > 0.98, (l, gain)
    for b in w.tobytes(): h = (h ^ b) * 0x100000001b3 % 2**64
assert "%016x" % h == o["hash"], (h, o["hash"])
P
else skip 'python3 has no numpy to read a dump with'; fi
good 'a chip as ONNX' 'layers' "$net" 17 --json --onnx chip.onnx
cp out drawn
good 'which is a network' 'layers' chip.onnx 3 --sigma 0 --json --dump again.npz
if python3 -c 'import numpy' 2>/dev/null; then
    run "$net" 17 -q --dump chip.npz
    python3 - <<'P' && pass || fail 'with the weights of the chip'
import numpy as np
a, b = np.load("chip.npz"), np.load("again.npz")
assert sorted(a.files) == sorted(b.files)
for k in a.files: assert np.abs(a[k] - b[k]).max() <= np.abs(a[k]).max() / 65535, k     # sigma 0 quantises to half a step
P
else skip 'python3 has no numpy to read a dump with'; fi
echo '{"chip":17,"gain":[1,1.25,0.5,1,1,0.75],"offset":[0,0.5,-0.25,0,0,0],"images":3}' >knobs.json
good 'knobs go along' 'layers' "$net" 17 --json --onnx knobs.onnx --knobs knobs.json
[ "$(wc -c <knobs.onnx)" -gt "$(wc -c <chip.onnx)" ] && pass || fail 'knobs are more nodes'
good 'a plan of it' '^would draw chip 17: 7 layers' "$net" 17 --dry-run --dump none.npz
[ ! -e none.npz ] && pass || fail 'a plan writes nothing'
good 'r2 warns of its tail' 'device r2' "$net" 17 --device-model r2
grep -q 'cells in a million' err && pass || fail 'how many cells are out of the domain'

bad 'no words' 2 'want a network (an ONNX file) and a chip number'
bad 'no number' 2 'want a network' "$net"
bad 'a wrong number' 2 "= 'x', want a whole number 0..4294967295" "$net" x
bad 'a negative number' 2 '0..4294967295' -- "$net" -1
bad 'too many words' 2 'one word too many' "$net" 1 2
bad 'knobs for nothing' 2 'want both' "$net" 1 --knobs knobs.json
bad 'one bit' 2 "--bits = '1', want a whole number 2..16" "$net" 1 --bits 1
bad 'seventeen bits' 2 "--bits = '17'" "$net" 1 --bits 17
bad 'sigma out of the domain' 2 "--sigma = '0.09'" "$net" 1 --sigma 0.09
bad 'sigma that is no number' 2 "--sigma = 'nan'" "$net" 1 --sigma nan
bad 'a network that is not there' 3 'none.onnx' none.onnx 1
bad 'a device that is not there' 3 'r9' "$net" 1 --device-model r9
echo 'not a network' >junk.onnx
bad 'a file that is no network' 3 'junk.onnx' junk.onnx 1
bad 'a folder that is not there' 4 'no/such' "$net" 1 --dump no/such.npz
bad 'knobs that are not there' 3 'none.json' "$net" 1 --onnx x.onnx --knobs none.json
knobs() { local n=$1 w=$2; echo "$3" >bad.json; bad "$n" 3 "$w" "$net" 1 --onnx x.onnx --knobs bad.json; }
knobs 'knobs that are no JSON' 'bad.json: not a JSON object (byte' '{"gain":[1,'
knobs 'knobs without offsets' "bad.json: no array 'offset'" '{"gain":[1,1,1,1,1,1]}'
knobs 'knobs of another network' "bad.json: 2 numbers in 'gain', the network has 6 layers with knobs" '{"gain":[1,1],"offset":[0,0]}'
knobs 'a knob that is text' 'bad.json: gain[1] is not a number' '{"gain":[1,"1",1,1,1,1],"offset":[0,0,0,0,0,0]}'
knobs 'a gain of 0' 'bad.json: gain[2] = 0, want a finite number of at least 1/64' '{"gain":[1,1,0,1,1,1],"offset":[0,0,0,0,0,0]}'
knobs 'an infinite offset' 'bad.json: offset[5] = inf' '{"gain":[1,1,1,1,1,1],"offset":[0,0,0,0,0,1e999]}'
[ ! -e x.onnx ] && ! ls -A | grep -q tmp && pass || fail 'nothing is left half-written'
if [ -w /dev/full ]; then run "$net" 1 --dump /dev/full; [ $? = 4 ] && pass || fail 'a full disk'; fi
finish
