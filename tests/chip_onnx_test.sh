#!/bin/bash
# chip_onnx_test.sh - the chip that `ohmtrim chip --onnx` writes gives in onnxruntime the accuracy that `ohmtrim eval --chip` says, with
# and without knobs.  Needs a Python with onnxruntime ($OHMTRIM_PYTHON, or python3) and Fashion-MNIST; skips without.
#     python3 -m venv /tmp/ort && /tmp/ort/bin/pip install onnxruntime numpy && OHMTRIM_PYTHON=/tmp/ort/bin/python tests/chip_onnx_test.sh
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cmd=${OHMTRIM:-$top/ohmtrim}
python=${OHMTRIM_PYTHON:-python3}
data=${OHMTRIM_DATA:-/usr/share/datasets}/fashion-mnist
n=1000
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
cd "$d"
p=0 f=0 s=0
finish() { echo "$p passed, $f failed, $s skipped"; [ $f = 0 ]; exit; }
skip() { echo "SKIP chip_onnx_test: $1"; s=1; finish; }
"$python" -c 'import numpy, onnxruntime' 2>/dev/null || skip "$python has no onnxruntime (see the head of this test)"
[ -e "$data/t10k-images-idx3-ubyte.gz" ] || skip "no Fashion-MNIST in $data"
cat >ort.py <<'P'
# ort.py CHIP.onnx N DATA LOGITS.npy - right answers among the first N test images, normalised as the file says, and the logits
import gzip, sys
import numpy as np, onnxruntime as ort
path, n, data, out = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
x = np.frombuffer(gzip.open(data + "/t10k-images-idx3-ubyte.gz").read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)[:n]
y = np.frombuffer(gzip.open(data + "/t10k-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)[:n]
s = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
meta = s.get_modelmeta().custom_metadata_map
mean, std = float(meta.get("ohmtrim.mean", "0")), float(meta.get("ohmtrim.std", "1"))
pixels = ((x / 255.0 - mean) / std).astype(np.float32)
logits = np.concatenate([s.run(None, {s.get_inputs()[0].name: pixels[i:i + 100]})[0].reshape(-1, 10) for i in range(0, n, 100)])
np.save(out, logits)
print(int((logits.argmax(1) == y).sum()))
P
# both NAME NET KNOBS: chip 17 in both
both() {
    local name=$1 net=$2 knobs=${3-} ours theirs
    if ! "$cmd" chip "$net" 17 --onnx chip.onnx ${knobs:+--knobs "$knobs"} -q >log 2>&1; then echo "FAIL $name: chip"; cat log; f=$((f + 1)); return; fi
    if ! "$cmd" eval "$net" --chip 17 ${knobs:+--knobs "$knobs"} --data "fashion-mnist:$data" --limit $n --logits ours.npy --json -q >ours.json 2>log; then
        echo "FAIL $name: eval"; cat log; f=$((f + 1)); return; fi
    if ! theirs=$("$python" ort.py chip.onnx $n "$data" theirs.npy 2>log); then echo "FAIL $name: onnxruntime"; tail -n 5 log; f=$((f + 1)); return; fi
    ours=$("$python" -c 'import json; print(json.load(open("ours.json"))["correct"])')
    # logits: sums of some hundred products, layer after layer, in another order: 1e-4 of the largest; an answer may flip at a tie
    if [ $((ours - theirs)) -le 1 ] && [ $((theirs - ours)) -le 1 ] &&
       "$python" -c 'import numpy as np; a, b = np.load("ours.npy"), np.load("theirs.npy"); e = abs(a - b).max() / abs(b).max(); print(e); assert a.shape == b.shape and e < 1e-4' >>log 2>&1
    then p=$((p + 1)); echo "$name: $ours of $n in both"
    else echo "FAIL $name: $ours of $n right, onnxruntime says $theirs"; tail -n 3 log; f=$((f + 1)); fi
}
for model in mobilenet-s lenet5; do
    net=${OHMTRIM_MODELS:-$top/models}/$model.onnx
    [ -e "$net" ] || { echo "SKIP chip_onnx_test: no $net"; s=$((s + 1)); continue; }
    both "$model, chip 17" "$net"
    echo '{"gain":[],"offset":[]}' >knobs.json                  # how many does it want?
    relus=$("$cmd" chip "$net" 0 --onnx x.onnx --knobs knobs.json 2>&1 | sed -n 's/.*the network has \([0-9]*\) ReLU layers/\1/p')
    "$python" -c 'import json, sys
n = int(sys.argv[1])
print(json.dumps({"gain": [1 + 0.02 * i for i in range(n)], "offset": [0.01 * (i % 3 - 1) for i in range(n)]}))' "$relus" >knobs.json
    both "$model, chip 17 with knobs" "$net" knobs.json
done
finish
