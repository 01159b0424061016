#!/bin/bash
# check-barriers.sh - is every barrier of the CUDA kernels needed, and is its absence seen?  Each __syncthreads and __syncwarp that the
# suite test_orders meets is skipped in turn (SIMT_SKIP); the suite must go red in one of its orders, or the race detector must complain.
# What stays green is a barrier that could go, or a test that is missing.  RUN: run-simt; RACE: the same built with -fsanitize=thread.
set -u
cd "$(dirname "$0")/.."
: "${RUN:=build/run-simt}" "${RACE:=build/simt-race/run-simt}"
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
export OT_SMALL=1
p=0 f=0
SIMT_SITES=$d/sites "$RUN" -s test_orders >"$d/log" 2>&1 || { echo "FAIL with all barriers there test_orders is red"; tail -n 20 "$d/log"; exit 1; }
"$RACE" -s test_orders >"$d/log" 2>&1 || { echo "FAIL with all barriers there the race detector complains"; grep -a SUMMARY "$d/log"; exit 1; }
sort -u -t: -k1,1 -k2,2n "$d/sites" >"$d/all"
# A barrier that no row meets would never be skipped.  nearest.cu and libs.cu have suites of their own, too slow under the race detector.
n=$(grep -hE '^[^/]*__sync(threads|warp)\(\);' $(ls kernels/*.cu kernels/*.cuh | grep -vE '/(nearest|libs)\.cu$') | wc -l)
printf '%-22s %-8s %s\n' barrier orders race
while read -r site; do
    orders=green race=-
    SIMT_SKIP=$site timeout 120 "$RUN" -s test_orders >"$d/log" 2>&1 || orders=red
    if [ $orders = green ]; then
        race=green
        SIMT_SKIP=$site timeout 120 "$RACE" -s test_orders >"$d/log" 2>&1 || race=red
    fi
    printf '%-22s %-8s %s\n' "$site" "$orders" "$race"
    if [ "$orders$race" = greengreen ]; then echo "FAIL $site: nothing notices that it is missing"; f=$((f + 1)); else p=$((p + 1)); fi
done <"$d/all"
met=$(wc -l <"$d/all"); emulated=$((n - 2))                     # the two of the tensor cores' tile, which the emulator has not
[ "$met" -ge "$emulated" ] && p=$((p + 1)) || { echo "FAIL $met barriers were met, kernels/ has $emulated"; f=$((f + 1)); }
echo "$p passed, $f failed, 0 skipped"
[ $f = 0 ]
