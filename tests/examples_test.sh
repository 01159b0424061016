#!/bin/bash
# examples_test.sh - every examples/*.c builds with warnings as errors and runs.
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
echo "$p passed, $f failed, $s skipped"
[ $f = 0 ]
