#!/bin/bash
# chips.sh - VAT + ST beside tuned knobs on chips of the device model, as paper 000's Fig. 1, Fig. 6 and Table II have them: mobilenet-s on
# Fashion-MNIST, as it comes and trained on simulated chips; two campaigns of the same chips with the tuners exhaustive, learned, closed-form and
# self-tuning (the right module and the wrong one).  Yields are printed; chips.svg in the reports shows every chip's accuracy against its systematic variation.
set -eu
cd "$(dirname "$0")/../.."
cmd=${OHMTRIM:-$PWD/ohmtrim}
out=${OUT:-paper-003-out}
mkdir -p "$out"
[ -e "$out/vat.onnx" ] || "$cmd" train models/mobilenet-s.onnx --data fashion-mnist --epochs "${EPOCHS:-4}" --lr 0.03 --noise device --sigma 0.048 \
    --checkpoint "$out/vat.npz" -o "$out/vat.onnx"
for net in models/mobilenet-s.onnx "$out/vat.onnx"; do
    name=$(basename "$net" .onnx)
    echo "== $name"
    "$cmd" campaign run examples/paper-003/chips.yaml -o "$out/$name.db" --set network="$net" "$@"
    if command -v gnuplot >/dev/null; then "$cmd" report "$out/$name.db" -o "$out/$name-report" >/dev/null; fi
done
