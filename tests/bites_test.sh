#!/bin/bash
# bites_test.sh - the seeded faults of tests/bites still change their files and name suites that are there: code that moved takes its faults along.
# check-bites.sh builds each of them and wants its suite red; that takes hours.
set -u
cd "$(dirname "$0")/.."
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
p=0 f=0
while IFS='|' read -r file suite fault; do
    case $file in ''|'#'*) continue ;; esac
    case $suite in *.sh) there=tests/$suite ;; *) there="SUITE(test_${suite#simt:})" ;; esac
    if ! sed -E "$fault" "$file" >"$d/faulty" 2>"$d/log"; then echo "FAIL $file: $(cat "$d/log")"; f=$((f + 1))
    elif cmp -s "$file" "$d/faulty"; then echo "FAIL $file: the fault '$fault' changes nothing"; f=$((f + 1))
    elif [ ! -e "$there" ] && ! grep -rqF "$there" tests --include='*.c'; then echo "FAIL $file: no suite '$suite'"; f=$((f + 1))
    else p=$((p + 1)); fi
done <tests/bites
echo "$p passed, $f failed, 0 skipped"
[ $f = 0 ] && [ $p -gt 0 ]
