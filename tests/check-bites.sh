#!/bin/bash
# check-bites.sh [N...] - seeded faults: each line of tests/bites is a file, a suite and a sed command that breaks the file; the suite must
# go red; simt:SUITE is one of the emulator's.  Works on a copy of the tree; a fault that does not change its file or that the suite survives is a failure.
set -u
cd "$(dirname "$0")/.."
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
git ls-files -z | tar --null -T - -cf - | tar -C "$d" -xf -
cp -r build "$d/" 2>/dev/null
p=0 f=0 n=0
while IFS='|' read -r file suite fault; do
    case $file in ''|'#'*) continue ;; esac
    n=$((n + 1))
    [ $# = 0 ] || [[ " $* " == *" $n "* ]] || continue
    cp "$d/$file" "$d/saved"
    sed -i -E "$fault" "$d/$file"
    if cmp -s "$d/$file" "$d/saved"; then echo "FAIL $n $file: the fault '$fault' changes nothing"; f=$((f + 1)); continue; fi
    targets="tests all"; [[ $suite == simt:* ]] && targets=tests-simt
    if ! make -C "$d" --no-print-directory -s -j2 CC="${CC:-gcc}" CXX="${CXX:-g++}" OPT="-O2" NO_CUDA=1 $targets >"$d/log" 2>&1; then echo "FAIL $n $file: does not build with '$fault'"; tail -n 5 "$d/log"; f=$((f + 1))
    elif case $suite in *.sh) (cd "$d" && OHMTRIM=$d/ohmtrim RUNNER=$d/build/run timeout 120 bash "tests/$suite") ;; simt:*) (cd "$d" && { [ $suite = simt:backend ] || export OT_SMALL=1; timeout 120 build/run-simt -s "test_${suite#simt:}"; }) ;; *) (cd "$d" && OHMTRIM_SHARED=${OHMTRIM_SHARED:-$OLDPWD/../shared} timeout 120 build/run -s "test_$suite") ;; esac >"$d/log" 2>&1; then echo "FAIL $n $file: $suite stays green with '$fault'"; f=$((f + 1))
    else p=$((p + 1)); echo "bitten $n: $file: $fault"; fi
    cp "$d/saved" "$d/$file"
done <tests/bites
echo "$p passed, $f failed, 0 skipped"
[ $f = 0 ] && [ $p -gt 0 ]
