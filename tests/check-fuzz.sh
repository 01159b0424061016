#!/bin/bash
# check-fuzz.sh [SECONDS [NAME...]] - builds each tests/fuzz/fuzz_*.c with libFuzzer, ASan and UBSan (clang) and runs it from its corpus
# for SECONDS each (20).  A crash leaves its input in $BUILD/fuzz and fails.  Inputs found are kept there, not in the tree.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}; shift || :
command -v clang >/dev/null || { echo "check-fuzz: clang is missing: apt-get install clang" >&2; exit 4; }
export SANITIZE=fuzzer-no-link,address,undefined
b=${BUILD:-build}/fuzz; mkdir -p "$b"
make --no-print-directory -s CC=clang OPT='-O1 -g' SANITIZE=$SANITIZE lib -j2
lib=$(make --no-print-directory -s CC=clang OPT='-O1 -g' SANITIZE=$SANITIZE where)
libs=$(make --no-print-directory -s CC=clang libs)
p=0 f=0
for src in tests/fuzz/fuzz_*.c; do
    n=$(basename "$src" .c); n=${n#fuzz_}
    [ $# = 0 ] || [[ " $* " == *" $n "* ]] || continue
    clang -std=c11 -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Iinclude -Ihost -I. -o "$b/$n" "$src" "$lib/libohmtrim.a" $libs
    mkdir -p "$b/corpus-$n"
    seeds=(); [ -d "tests/fuzz/corpus/$n" ] && seeds=("tests/fuzz/corpus/$n")
    if "$b/$n" -max_total_time="$seconds" -rss_limit_mb=3000 -timeout=10 -verbosity=0 -print_final_stats=1 -artifact_prefix="$b/$n-" "$b/corpus-$n" "${seeds[@]}" >"$b/$n.log" 2>&1; then
        p=$((p + 1)); echo "$n: $(sed -n 's/^stat::number_of_executed_units: *//p' "$b/$n.log") runs, no crash"
    else f=$((f + 1)); echo "FAIL $n"; tail -n 30 "$b/$n.log"; fi
done
echo "$p passed, $f failed, 0 skipped"
[ $f = 0 ] && [ $p -gt 0 ]
