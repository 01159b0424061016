#!/bin/bash
# peers_test.sh - the PyTorch peers of bench/peers run at CPU size: each proves its results and gives rows with all fields, an unequal
# result is a failure, and a dump of ours loads.  Needs a Python with PyTorch ($OHMTRIM_PYTHON, or /usr/bin/python3); skips without.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cmd=${OHMTRIM:-$top/ohmtrim}
python=${OHMTRIM_PYTHON:-/usr/bin/python3}
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
export PYTHONDONTWRITEBYTECODE=1 OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-SKYLAKEX}
cd "$d"
p=0 f=0 s=0
finish() { echo "$p passed, $f failed, $s skipped"; [ $f = 0 ]; exit; }
check() { local name=$1; shift; if "$@" >log 2>&1; then p=$((p + 1)); else echo "FAIL $name"; tail -n 15 log err 2>/dev/null; f=$((f + 1)); fi; }
"$python" -c 'import numpy, torch' 2>/dev/null || { echo "SKIP peers_test: $python has no PyTorch (python3-torch)"; s=1; finish; }

# rows NAME: what NAME printed is what it appended, every field is there, and what has no time says why
cat >rows.py <<'P'
import json, sys
rows = [json.loads(line) for line in open("out")]
assert rows and rows == [json.loads(line) for line in open(sys.argv[1] + "/peers.jsonl")], "printed is not appended"
timed = [row for row in rows if "failed" not in row]
for row in timed:
    assert set(row) == set("bench variant shape median_s p10_s p90_s min_s n unit value device torch checked commit flags".split()), row
    assert row["checked"] is True and row["n"] == 3 and 0 < row["min_s"] <= row["p10_s"] <= row["median_s"] <= row["p90_s"], row
    assert row["value"] > 0 and row["unit"].endswith("/s") and row["bench"] == "peer_" + sys.argv[1], row
for row in rows:
    assert row in timed or row["failed"] and "unequal" not in row["failed"], row
names = [row["variant"] for row in rows]
assert len(set(names)) == len(names), names
for want in sys.argv[2:]:
    assert any(want in row["variant"] for row in timed), (want, [row["variant"] for row in timed])
    assert all("budget" not in row.get("failed", "") for row in rows if want in row["variant"]), want
P
peer() { # NAME ONLY WANTED...: runs a peer; these variants must have a time
    local name=$1 only=$2; shift 2
    "$python" "$top/bench/peers/$name.py" --small --device cpu --only "$only" --out "$name" >out 2>err || { cat err; return 1; }
    "$python" rows.py "$name" "$@" || return 1
    # what is left out is said on stderr too, and what is best
    [ "$(grep -c 'is left out: ' err)" = "$(grep -c '"failed"' out)" ] && grep -q ': best is ' err
}
check 'tuning: eager in both layouts and both norms' \
    peer tuning eager,graph+fp32+nhwc 'eager fp32 nhwc folded' 'eager fp32 nchw folded' 'eager fp32 nhwc' 'eager fp32 nchw'
check 'expand: eager in both chunks' peer expand eager 'eager, 1024 at once' 'eager, 4096 at once'
check 'exhaustive: eager' peer exhaustive eager,graph+fp32+nhwc 'eager fp32 nhwc folded' 'eager fp32 nchw' 'eager bf16 nhwc'
check 'nearest: L2 and L1' peer nearest matmul,candidates,cdist,chunks 'L2 matmul' 'L2 candidates' 'L2 cdist direct' 'L1 cdist' 'L1 chunks'
check 'spiking: both ways in both layouts' peer spiking eager+folded,eager+loop,graph+folded+fp32 'eval folded eager fp32 nhwc' 'eval loop eager fp32 nchw' 'tune folded eager fp32 nchw' 'tune loop eager bf16 nhwc'
if "$python" -c 'import torch.func' 2>/dev/null; then
    rm -r exhaustive; check 'exhaustive: vmap counts as eager does' peer exhaustive vmap+nhwc 'vmap fp32 nhwc' 'vmap bf16 nhwc folded'
else echo 'SKIP peers_test: this PyTorch has no torch.func'; s=$((s + 1)); fi

# A wrong variant gets no time: the checks of each peer see a small fault.
cat >faults.py <<'P'
import sys
sys.path.insert(0, sys.argv[1])
import torch
import common, exhaustive, expand, nearest, spiking, tuning

def unequal(check, *arguments):
    try:
        check(*arguments)
    except common.Unequal:
        return
    sys.exit("not seen: %s" % check.__name__)

cpu, ones = torch.device("cpu"), torch.ones(20)
tuning.check(([2.0, 2.0], ones), ([2.0, 2.0], ones), 0.05)
unequal(tuning.check, ([2.0, 2.0], ones * 1.06), ([2.0, 2.0], ones), 0.05)
unequal(tuning.check, ([2.0, 2.2], ones), ([2.0, 2.0], ones), 0.05)
unequal(tuning.check, ([2.0, 2.0], ones * float("nan")), ([2.0, 2.0], ones), 0.05)
spiking.check(ones, ones, ones, ones, (0.3, 0.2))
unequal(spiking.check, ones + 0.4, ones, ones, ones, (0.3, 0.2))
unequal(spiking.check, ones, ones * 1.3, ones, ones, (0.3, 0.2))
unequal(spiking.check, ones, ones * float("nan"), ones, ones, (0.3, 0.2))
margins = [torch.tensor([0.5, 0.3, 1e-6])]
exhaustive.check(torch.tensor([2]), ([1], margins), 1e-5)           # one tie
unequal(exhaustive.check, torch.tensor([3]), ([1], margins), 1e-5)
unequal(expand.check_moments, lambda q, step, m: expand.expand(q, step * 1.01, m), cpu)
unequal(expand.check_moments, lambda q, step, m: expand.expand(q, step, m._replace(hrs=m.hrs * 1.1)), cpu)
right = expand.polynomial
expand.polynomial = lambda c, z: right(c[:-1], z)                   # without the last term
unequal(expand.check_polynomials, cpu)
book, (x, *_) = nearest.make(500, cpu)
want = nearest.least(book, x, 1, 100)
found = nearest.cdist(book, x, 1.0)
nearest.check(found, book, x, 1, want)
found[0] = (found[0] + 1) % 500
unequal(nearest.check, found, book, x, 1, want)
P
check 'the checks see faults' "$python" faults.py "$top/bench/peers"
check 'no budget, no variant, and that is said' bash -c '! "$0" "$1" --small --device cpu --budget 0 >out 2>err && grep -q "budget of 0 s" out' \
    "$python" "$top/bench/peers/expand.py"
if [ -e "$top/models/mobilenet-s.onnx" ] && [ -x "$cmd" ]; then
    dump() { "$cmd" chip "$top/models/mobilenet-s.onnx" 3 --dump chip.npz -q && "$python" "$top/bench/peers/networks.py" "$@" --load chip.npz; }
    check 'a dump of ours loads' bash -c "$(declare -f dump); cmd=$cmd top=$top python=$python; dump --network mobilenet-s | grep -q '^mobilenet-s: 36832 weights, 30 knobs'"
    check 'into its own network alone' bash -c "$(declare -f dump); cmd=$cmd top=$top python=$python; ! dump --network tiny"
else echo "SKIP peers_test: no $cmd to dump a chip with"; s=$((s + 1)); fi
finish
