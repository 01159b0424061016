#!/bin/bash
# bits.sh - paper 003's Table I for LeNet-5 on MNIST, 2-bit weights and activations: QAVAT, QAT and PTQ-VAT over chips of layer-fixed noise; then
# its Table II, noise within and between chips with no self-tuning, the right one and the wrong one.  Everything stays in $OUT; stopped and started
# again it goes on.  EPOCHS=4 LIMIT=10000 CHIPS=20 are quicker.
set -eu
cd "$(dirname "$0")/../.."
cmd=${OHMTRIM:-$PWD/ohmtrim}
out=${OUT:-paper-003-out}
data=${DATA:-mnist}
epochs=${EPOCHS:-8} limit=${LIMIT:-0} chips=${CHIPS:-200}
mkdir -p "$out"
train() { # NAME ARGS...: unless it is there
    [ -e "$out/$1.onnx" ] || "$cmd" train "${@:2}" --data "$data" --optimizer adam --limit "$limit" --checkpoint "$out/$1.npz" -o "$out/$1.onnx"
}
accuracy() { # NAME ARGS...: one line
    printf '%-9s %s\n' "$1" "$("$cmd" eval "$out/$1.onnx" --data "$data" --limit "$limit" --samples "$chips" -q "${@:2}" | sed 's/.*accuracy //')"
}
bits=(--weight-bits 2 --activation-bits 2)
train float lenet5 --epochs 4
train qavat "$out/float.onnx" --lr 0.003 --epochs "$epochs" "${bits[@]}" --noise fixed:0.5
train qat "$out/float.onnx" --lr 0.003 --epochs "$epochs" "${bits[@]}"
# layer-fixed noise of 0.5 breaks the float network (no batch norm): 0.1 is what it can learn from
train ptq-vat "$out/float.onnx" --epochs "$epochs" "${bits[@]}" --noise fixed:0.1 --post-training

for sigma in 0.1 0.3 0.5; do
    echo "within chips, sigma $sigma:"
    for n in qavat qat ptq-vat; do accuracy $n --noise "fixed:$sigma"; done
done
echo "within and between chips, 0.5 in all; QAVAT untuned, with LTM (right), with GTM alone (wrong):"
accuracy qavat --noise fixed:0.3536,0.3536
accuracy qavat --noise fixed:0.3536,0.3536 --self-tuning ltm:1000,4
accuracy qavat --noise fixed:0.3536,0.3536 --self-tuning gtm:1000
echo "the same, proportional noise; with GTM (right), with LTM (wrong):"
accuracy qavat --noise proportional:0.3536,0.3536
accuracy qavat --noise proportional:0.3536,0.3536 --self-tuning gtm:1000
accuracy qavat --noise proportional:0.3536,0.3536 --self-tuning ltm:1000,4
