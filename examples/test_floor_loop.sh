#!/bin/bash
# test_floor_loop.sh [RECIPE BEFORE.csv AFTER.csv] - a test floor in forty lines: each chip is measured, judged, tuned if it is weak,
# measured again, judged again.  The three functions are where a real tester's commands go; here measurements come from files.
set -eu
cd "$(dirname "$0")"
ohmtrim=${OHMTRIM:-../ohmtrim}
recipe=${1:-small.recipe} before=${2:-small.csv} after=${3:-small-after.csv}
w=$(mktemp -d); trap 'rm -rf "$w"' EXIT

measure() {                     # measure CHIP FILE: show the chip the recipe's images, print its signature as one line
    grep -v '^#' "$2" | sed -n "$(($1 + 1))p"
}
set_knobs() {                   # set_knobs CHIP CODE...: into the chip's registers, gains first
    echo "chip $1: registers ${*:2}"
}
full_test() {                   # full_test CHIP: would run all test images
    echo "chip $1: to the full test"
}
judge() {                       # judge SIGNATURE [OPTIONS]: the row that `screen` says about one chip
    "$ohmtrim" screen "$recipe" "$1" --csv - "${@:2}" | sed -n 2p
}

chips=$(grep -cv '^#' "$before") passed=0 mended=0 waiting=0
for ((chip = 0; chip < chips; chip++)); do
    measure $chip "$before" >"$w/signature.csv"
    IFS=, read -ra row <<<"$(judge "$w/signature.csv" --codes)"
    case ${row[6]} in           # verdict
        pass) echo "chip $chip: pass, predicted ${row[1]}"; passed=$((passed + 1)); continue ;;
        full-test) full_test $chip; waiting=$((waiting + 1)); continue ;;
    esac
    n=$(((${#row[@]} - 12) / 4))                               # knob pairs: gains, offsets, their codes, then two counts
    set_knobs $chip "${row[@]:10 + 2 * n:2 * n}"
    measure $chip "$after" >"$w/signature.csv"
    IFS=, read -ra row <<<"$(judge "$w/signature.csv" --after)"
    case ${row[6]} in
        pass) echo "chip $chip: mended, predicted ${row[1]}"; mended=$((mended + 1)) ;;
        *) full_test $chip; waiting=$((waiting + 1)) ;;
    esac
done
echo "$chips chips: $passed passed, $mended mended, $waiting wait for a full test"
