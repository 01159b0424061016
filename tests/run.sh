#!/bin/bash
# run.sh SUITE... - runs each suite of the runner and each tests/*_test.sh as its own process, two at a time, and adds up.  simt:SUITE is
# one of the runner $RUNNER_SIMT, in which the CUDA kernels run on the emulator.
# A suite that crashes or says no total counts as one failure.  Fails below tests/minimum tests in all, tests/minimum-simt of the
# emulator's.
set -u
: "${RUNNER_SIMT=}"
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
export out RUNNER RUNNER_SIMT OHMTRIM
one() {
    case $1 in
        *.sh) bash "$1" >"$out/$(basename "$1").log" 2>&1 ;;
        simt:*) "$RUNNER_SIMT" -s "test_${1#simt:}" >"$out/$1.log" 2>&1 ;;
        *)    "$RUNNER" -s "test_$1" >"$out/$1.log" 2>&1 ;;
    esac
    echo "$?" >"$out/$(basename "$1").rc"
}
export -f one
start=$SECONDS
names=("$@")
[ -n "${SUITES_ONLY-}" ] || for t in "$here"/*_test.sh; do [ -e "$t" ] && names+=("$t"); done
printf '%s\n' "${names[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c 'one {}'
p=0 f=0 s=0 simt=0
for n in "${names[@]}"; do
    b=$(basename "$n")
    line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$out/$b.log" | tail -n 1)
    grep -aE '^(FAIL|SKIP)' "$out/$b.log"
    if [ -z "$line" ]; then
        echo "FAIL $b: ended with status $(cat "$out/$b.rc" 2>/dev/null) and no total"; tail -n 30 "$out/$b.log"; f=$((f + 1)); continue
    fi
    read -r a _ c _ d _ <<<"$(echo "$line" | tr -d ,)"
    p=$((p + a)) f=$((f + c)) s=$((s + d))
    case $b in simt:*) simt=$((simt + a + c + d)) ;; esac
    if [ "$c" != 0 ]; then tail -n 60 "$out/$b.log"
    elif [ "$(cat "$out/$b.rc")" != 0 ]; then echo "FAIL $b: exit status $(cat "$out/$b.rc")"; tail -n 30 "$out/$b.log"; f=$((f + 1)); fi
    printf '%-28s %s\n' "$b" "$line"
done
least() {                                                       # least FILE COUNT
    local min; min=$(cat "$here/$1" 2>/dev/null || echo 0)
    [ "$2" -ge "$min" ] || { echo "FAIL only $2 tests ran, tests/$1 wants $min"; f=$((f + 1)); }
}
if [ -z "${SUITES_ONLY-}" ]; then
    least minimum $((p + f + s - simt))
    case " ${names[*]}" in *" simt:"*) least minimum-simt $simt ;; esac
fi
echo "$((SECONDS - start)) s"
echo "$p passed, $f failed, $s skipped"
[ "$f" = 0 ] && [ "$p" -gt 0 ]
