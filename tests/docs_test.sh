#!/bin/bash
# docs_test.sh - every ```sh block of README.md and docs/ runs, in one scratch folder a file, with ohmtrim on PATH; a block stops at
# its first failing command.  (Blocks marked ```bash or ```text are shown, not run.)  Every verb's --help works and shows an example.
set -u
cd "$(dirname "$0")/.."
top=$PWD; cmd=${OHMTRIM:-$top/ohmtrim}
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
mkdir "$d/bin"; ln -s "$cmd" "$d/bin/ohmtrim"; export PATH="$d/bin:$PATH"
p=0 f=0 s=0
for doc in README.md docs/*.md models/README.md; do
    [ -e "$doc" ] || continue
    w=$d/$(echo "$doc" | tr / _); mkdir "$w"; ln -s "$top/models" "$w/models"; ln -s "$top/examples" "$w/examples"
    awk -v w="$w" '/^```sh$/ {n++; on = 1; next} /^```/ {on = 0} on {print > (w "/block" n ".sh")}' "$doc"
    for b in $(ls "$w"/block*.sh 2>/dev/null | sort -V); do
        if grep -q fashion-mnist "$b" && [ ! -e /usr/share/datasets/fashion-mnist ]; then echo "SKIP $doc $(basename "$b"): no Fashion-MNIST"; s=$((s + 1)); continue; fi
        if (cd "$w" && timeout 120 bash -euo pipefail "$b") >"$d/log" 2>&1; then p=$((p + 1))
        else echo "FAIL $doc $(basename "$b")"; cat "$b"; tail -n 10 "$d/log"; f=$((f + 1)); fi
    done
done
for v in $("$cmd" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    if "$cmd" "$v" --help >"$d/log" 2>&1 && grep -q "ohmtrim $v" "$d/log" && grep -qi example "$d/log"; then p=$((p + 1))
    else echo "FAIL ohmtrim $v --help: wants status 0 and an example"; f=$((f + 1)); fi
    "$cmd" "$v" --no-such-option >"$d/log" 2>&1; if [ $? = 2 ]; then p=$((p + 1)); else echo "FAIL ohmtrim $v --no-such-option: wants status 2"; f=$((f + 1)); fi
done
"$cmd" nonsense 2>/dev/null; [ $? = 2 ] && p=$((p + 1)) || { echo 'FAIL an unknown verb wants status 2'; f=$((f + 1)); }
echo "$p passed, $f failed, $s skipped"
[ $f = 0 ]
