#!/bin/sh
# compare_torch.sh BENCH_PLAN [TIMES] - T-ReLU tuning of ResNet-20, ours against PyTorch's, in turns A B A B on one thread each, CPU
# time an image.  Prints every row and then the ratio PyTorch / ours: above 1 we are faster.  PyTorch takes the better of its two
# memory layouts.  OpenBLAS is told its processor, which Debian's misjudges.
set -e
plan=${1:?the bench_plan program}
times=${2:-3}
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import torch' 2>/dev/null || { echo "compare_torch: left out: no PyTorch for $python (python3-torch)" >&2; exit 0; }
i=0
while [ $i -lt "$times" ]; do
    "$plan" resnet20 | grep '"tune"' | tee -a "$rows"
    OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-SKYLAKEX} OMP_NUM_THREADS=1 "$python" "$(dirname "$0")/peer_torch.py" | tee -a "$rows"
    i=$((i + 1))
done
"$python" - "$rows" <<'EOF'
import json, statistics, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
def median(pick):
    return statistics.median(r["median_us_per_image"] for r in rows if pick(r))
def ours(how):
    return median(lambda r: r["bench"] == "plan" and r["conv"] == how)
torch = min(median(lambda r: r.get("layout") == layout) for layout in ("default", "channels_last"))
print(json.dumps({"bench": "compare_torch", "network": "resnet20", "what": "tune", "torch_us": torch, "ours_auto_us": ours("auto"), "ours_direct_us": ours("direct"),
                  "ratio_auto": round(torch / ours("auto"), 2), "ratio_direct": round(torch / ours("direct"), 2)}))
EOF
