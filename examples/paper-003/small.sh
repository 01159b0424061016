#!/bin/bash
# small.sh - paper 003 in the small: its Table I and Fig. 4 for LeNet-5 on MNIST (2-bit weights and activations, layer-fixed noise within chips), Fig. 7a
# (samples a step), and on a small CIFAR-10 network (4-bit weights, 8-bit activations) Fig. 5, 6, 7b and Table II: noise within and between chips, without
# self-tuning, with the right module and with the wrong one.  Each figure's points stand in $OUT/results.tsv with their 95 % intervals, and where there is
# gnuplot they are drawn.  Stopped and started again it goes on; parts can be named:
#
#     examples/paper-003/small.sh [bits] [samples] [chips] [tables]
#
# EPOCHS=2 LIMIT=5000 CHIPS=10 are quicker (LIMIT: training and test images).  DATA and CIFAR say where the images are (mnist:DIR, cifar10:DIR).
set -eu
cd "$(dirname "$0")/../.."
cmd=${OHMTRIM:-$PWD/ohmtrim}
out=${OUT:-paper-003-out}
data=${DATA:-mnist} cifar=${CIFAR:-cifar10}
limit=${LIMIT:-0} chips=${CHIPS:-40} threads=${THREADS:-0}
mkdir -p "$out"
touch "$out/results.tsv"

train() { # NETWORK-OUT START DATA EPOCHS ARGS...: unless it is there
    local name=$1 start=$2 set=$3 epochs=${EPOCHS:-$4}
    shift 4
    [ -e "$out/$name.onnx" ] || "$cmd" train "$start" --data "$set" --epochs "$epochs" --limit "$limit" --threads "$threads" --checkpoint "$out/$name.npz" \
        -o "$out/$name.onnx" "$@"
}

# A point of a figure: accuracy of $chips chips.  results.tsv: figure, curve, x, accuracy, low, high.
point() { # FIGURE CURVE X NETWORK DATA NOISE [ARGS...]
    local figure=$1 curve=$2 x=$3 network=$4 set=$5 noise=$6
    local images=0
    shift 6
    [ "$set" = "$data" ] || images=500                                      # the first of them; of MNIST all
    [ "$limit" = 0 ] || images=$limit
    grep -q "^$figure	$curve	$x	" "$out/results.tsv" && return
    "$cmd" eval "$network" --data "$set" --limit "$images" --samples "$chips" --threads "$threads" --noise "$noise" --json -q "$@" |
        sed -E "s/.*\"accuracy\":([0-9.e-]+),\"low\":([0-9.e-]+),\"high\":([0-9.e-]+).*/$figure	$curve	$x	\1	\2	\3/" | tee -a "$out/results.tsv"
}

lenet() { train "$1" "$2" "$data" "$3" --optimizer adam --weight-decay 0 --minibatch 32 "${@:4}"; }
half() { awk -v s="$1" 'BEGIN { printf "%.4f", s / sqrt(2) }'; }          # equal parts within and between chips

bits() { # Table I, Fig. 4
    local two=(--weight-bits 2 --activation-bits 2) s
    lenet float lenet5 3
    lenet qavat-0.1 "$out/float.onnx" 10 --lr 0.003 "${two[@]}" --noise fixed:0.1
    lenet qavat-0.3 "$out/float.onnx" 10 --lr 0.003 "${two[@]}" --noise fixed:0.3
    lenet qavat-0.5 "$out/float.onnx" 10 --lr 0.003 "${two[@]}" --noise fixed:0.5
    lenet qat "$out/float.onnx" 10 --lr 0.003 "${two[@]}"
    # layer-fixed noise of 0.5 breaks the float network (no batch norm bounds it): 0.1 is what it can learn from
    lenet ptq-vat "$out/float.onnx" 4 --lr 0.001 "${two[@]}" --noise fixed:0.1 --post-training
    for s in 0.1 0.2 0.3 0.4 0.5; do
        local at=$s                                                          # trained at the noise it meets, or the next above
        case $s in 0.2) at=0.3 ;; 0.4) at=0.5 ;; esac
        point fig4 QAVAT "$s" "$out/qavat-$at.onnx" "$data" "fixed:$s"
        point fig4 QAT "$s" "$out/qat.onnx" "$data" "fixed:$s"
        point fig4 PTQ-VAT "$s" "$out/ptq-vat.onnx" "$data" "fixed:$s"
    done
}

samples() { # Fig. 7a: n samples of noise a step; as many passes over the images
    local n
    lenet float lenet5 3
    for n in 1 2 4; do
        lenet "samples-$n" "$out/float.onnx" 3 --lr 0.003 --weight-bits 2 --activation-bits 2 --noise fixed:0.5 --samples $n
        point fig7a "sigma 0.5" $n "$out/samples-$n.onnx" "$data" fixed:0.5
        point fig7a "sigma 0.3" $n "$out/samples-$n.onnx" "$data" fixed:0.3
    done
}

chips() { # Fig. 5, 6, 7b, Table II: the networks are trained with noise within chips alone
    local model s h net n
    for model in proportional fixed; do
        for s in 0.1:2 0.35:6; do
            train "cifar-$model-${s%:*}" models/vgg-s.onnx "$cifar" "${s#*:}" --lr 0.01 --minibatch 64 --augment crop:2,flip --weight-bits 4 --activation-bits 8 \
                --noise "$model:${s%:*}"
        done
        for s in 0.1 0.3 0.5; do
            h=$(half $s) net=$out/cifar-$model-0.35.onnx
            [ $s != 0.1 ] || net=$out/cifar-$model-0.1.onnx
            point "fig5-$model" "within chips alone" $s "$net" "$cifar" "$model:$s"
            point "fig5-$model" "within and between" $s "$net" "$cifar" "$model:$h,$h"
            point "fig5-$model" "GTM alone" $s "$net" "$cifar" "$model:$h,$h" --self-tuning gtm:1000
            point "fig5-$model" "GTM and LTM" $s "$net" "$cifar" "$model:$h,$h" --self-tuning ltm:1000,1
        done
    done
    h=$(half 0.5)
    for n in 10 100 1000 100000; do
        point fig7b "1 LTM column" $n "$net" "$cifar" "fixed:$h,$h" --self-tuning ltm:$n,1
        point fig7b "16 LTM columns" $n "$net" "$cifar" "fixed:$h,$h" --self-tuning ltm:$n,16
    done
}

draw() { # FIGURE TITLE X-LABEL [SETTINGS]
    command -v gnuplot >/dev/null && grep -q "^$1	" "$out/results.tsv" || return 0
    cut -f 1,2 "$out/results.tsv" | grep "^$1	" | cut -f 2 | awk '!seen[$0]++' |
        while read -r curve; do
            [ -z "${later:-}" ] || printf '\n\n'
            later=1
            printf '"%s"\n' "$curve"
            awk -F '\t' -v f="$1" -v c="$curve" '$1 == f && $2 == c { print $3, 100 * $4, 100 * $5, 100 * $6 }' "$out/results.tsv" | sort -g
        done >"$out/$1.dat"
    gnuplot <<EOF
set terminal svg size 560,380 dynamic background "white"
set output "$out/$1.svg"
set title "$2" noenhanced
set xlabel "$3"
set ylabel "accuracy (%)"
set key below height 1
set grid
set yrange [0:100]
set offsets graph 0.05, graph 0.05, 0, 0
${4:-}
stats "$out/$1.dat" using 1 nooutput
plot for [i=0:STATS_blocks-1] "$out/$1.dat" index i using 1:2:3:4 with yerrorlines pointtype 7 pointsize 0.5 title columnheader(1)
EOF
}

tables() {
    cat <<'EOF'

Table I, LeNet-5 on MNIST, 2-bit weights and activations, layer-fixed noise within chips; accuracy (95 % interval), and the paper's

| sigma | QAVAT | paper | QAT | paper | PTQ-VAT | paper |
| --- | --- | --- | --- | --- | --- | --- |
EOF
    awk -F '\t' '$1 == "fig4" { v[$2, $3] = sprintf("%.2f (%.2f-%.2f)", 100 * $4, 100 * $5, 100 * $6); s[$3] }
        END { split("98.33 98.21 62.75", a, " "); split("96.38 90.03 53.82", b, " ")
              for (k = 1; k <= 5; k++) { x = "0." k; for (i = 1; i <= 3; i++) p[i] = k == 1 ? a[i] : k == 5 ? b[i] : ""
                  if (x in s) printf "| %s | %s | %s | %s | %s | %s | %s |\n", x, v["QAVAT", x], p[1], v["QAT", x], p[2], v["PTQ-VAT", x], p[3] } }' "$out/results.tsv"
    cat <<'EOF'

Table II, VGG-S on CIFAR-10, 4-bit weights, 8-bit activations, trained with noise within chips; sigma in all, equal parts within and between; the
right module for proportional noise is a GTM alone, for fixed noise GTM and LTM, the other one is the wrong one.  Paper: VGG-11, proportional

| noise | sigma | within chips alone | no self-tuning | paper | GTM alone | paper | GTM and LTM | paper |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
EOF
    awk -F '\t' '$1 ~ /^fig5-/ { m = substr($1, 6); if (!((m, $3) in seen)) { seen[m, $3]; row[++n] = m "\t" $3 }
                               v[m, $3, $2] = sprintf("%.1f (%.1f-%.1f)", 100 * $4, 100 * $5, 100 * $6) }
        END { split("88.59 70.75 54.70", none, " "); split("90.05 88.09 81.90", gtm, " "); split("44.70 23.06 17.33", ltm, " ")
              for (i = 1; i <= n; i++) { split(row[i], k, "\t"); p = k[1] == "proportional" ? (10 * k[2] + 1) / 2 : 0
                  printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", k[1], k[2], v[k[1], k[2], "within chips alone"], v[k[1], k[2], "within and between"],
                         none[p], v[k[1], k[2], "GTM alone"], gtm[p], v[k[1], k[2], "GTM and LTM"], ltm[p] } }' "$out/results.tsv"
    draw fig4 "Fig. 4: LeNet-5 on MNIST, A2W2" "sigma within chips, of a layer's largest weight"
    draw fig5-proportional "Fig. 5, 6: VGG-S on CIFAR-10, A8W4, noise proportional to weights" "sigma in all"
    draw fig5-fixed "Fig. 5, 6: VGG-S on CIFAR-10, A8W4, noise of a layer" "sigma in all"
    draw fig7a "Fig. 7a: samples of noise a step" "samples" "set yrange [*:*]; set offsets graph 0.05, graph 0.05, 0.5, 0.5"
    draw fig7b "Fig. 7b: size of self-tuning, sigma 0.5 in all" "GTM cells" "set logscale x"
}

[ $# -gt 0 ] || set -- bits samples chips tables
for part; do
    case $part in
    bits | samples | chips | tables) $part ;;
    *) echo "small.sh: '$part' is not a part, want bits, samples, chips or tables" >&2; exit 2 ;;
    esac
done
