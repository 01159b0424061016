#!/bin/bash
# examples_test.sh - every examples/*.c builds with warnings as errors and runs; so does paper 003 in the small, with few images.
set -u
cd "$(dirname "$0")/.."
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
p=0 f=0 s=0
lib=$(make --no-print-directory -s where)/libohmtrim.a libs=$(make --no-print-directory -s libs)
for c in examples/*.c; do
    n=$(basename "$c" .c)
    if grep -q fashion-mnist "$c" && [ ! -e /usr/share/datasets/fashion-mnist ]; then echo "SKIP $n: no Fashion-MNIST"; s=$((s + 1)); continue; fi
    if gcc -std=c11 -Wall -Wextra -Werror ${SANITIZE:+-fsanitize=$SANITIZE} -Iinclude -o "$d/$n" "$c" "$lib" $libs >"$d/log" 2>&1 && "$d/$n" >"$d/log" 2>&1
    then p=$((p + 1)); else echo "FAIL $n"; cat "$d/log"; f=$((f + 1)); fi
done
check() { if eval "$2"; then p=$((p + 1)); else echo "FAIL $1"; tail -n 5 "$d/log"; f=$((f + 1)); fi; }
if [ -e /usr/share/datasets/fashion-mnist ]; then
    small() { OUT=$d/small DATA=fashion-mnist EPOCHS=1 LIMIT=256 CHIPS=2 examples/paper-003/small.sh "$@" >"$d/log" 2>&1; }
    small bits tables
    check 'small.sh makes the table' '[ $? = 0 ] && [ $(wc -l <"$d/small/results.tsv") = 15 ] && grep -qE "^\| 0.5 \| [0-9.]+ \([0-9.]+-[0-9.]+\) \| 96.38 \| [0-9]" "$d/log"'
    check 'and its figure' '! command -v gnuplot >/dev/null || grep -q QAVAT "$d/small/fig4.svg"'
    cp "$d/small/results.tsv" "$d/first" && small bits
    check 'small.sh does nothing twice' 'cmp -s "$d/first" "$d/small/results.tsv" && [ ! -s "$d/log" ]'
    small everything
    check 'small.sh wants a part that is one' '[ $? = 2 ] && grep -q "is not a part, want bits" "$d/log"'
else
    echo 'SKIP small.sh: no Fashion-MNIST'; s=$((s + 1))
fi
echo "$p passed, $f failed, $s skipped"
[ $f = 0 ]
