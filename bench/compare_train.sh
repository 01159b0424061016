#!/bin/sh
# compare_train.sh BENCH_TRAIN [TIMES] - a training step (SGD with momentum, minibatch of 128) of ours against PyTorch's, in turns A B A B on one
# thread each, CPU time an image; gradients are compared first.  Prints every row and then, for each network, PyTorch / ours: above 1 we are faster.  PyTorch takes
# the better of its two memory layouts.  OpenBLAS is told its processor, which Debian's misjudges.
set -e
train=${1:?the bench_train program}
times=${2:-3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import torch' 2>/dev/null || { echo "compare_train: left out: no PyTorch for $python (python3-torch)" >&2; exit 0; }
for network in lenet5 mobilenet-s resnet8 vgg-s resnet20; do
    i=0
    while [ $i -lt "$times" ]; do
        "$train" --export "$dir" $network | tee -a "$dir/rows"
        OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-SKYLAKEX} OMP_NUM_THREADS=1 "$python" "$(dirname "$0")/peer_train.py" "$dir/$network.npz" --rounds 3 | tee -a "$dir/rows"
        i=$((i + 1))
    done
done
"$python" - "$dir/rows" <<'EOF'
import json, statistics, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
for network in dict.fromkeys(r["network"] for r in rows):
    def us(**want):
        return [r["us_an_image"] for r in rows if r["network"] == network and all(r.get(k) == v for k, v in want.items())]
    ours = us(bench="train_step")
    layout = min(("default", "channels_last"), key=lambda l: statistics.median(us(layout=l)))
    theirs = us(layout=layout)
    ratios = sorted(t / o for t, o in zip(theirs, ours))
    print(json.dumps({"bench": "compare_train", "network": network, "torch_us": statistics.median(theirs), "layout": layout, "ours_us": statistics.median(ours),
                      "ratio": round(statistics.median(ratios), 2), "least": round(ratios[0], 2), "most": round(ratios[-1], 2)}))
EOF
