#!/bin/bash
# gpu_test.sh - bench/gpu.sh and bench_gpu from end to end at tiny sizes, on the emulator: every part gives its rows, results are checked first,
# a wrong one takes no time, and without a GPU the reason is one sentence.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
p=0 f=0 s=0
check() { local name=$1; shift; if "$@" >"$d/log" 2>&1; then p=$((p + 1)); else echo "FAIL $name"; tail -n 15 "$d/log"; f=$((f + 1)); fi; }
finish() { echo "$p passed, $f failed, $s skipped"; [ $f = 0 ]; exit; }
[ -x "${RUNNER_SIMT-}" ] || { echo "SKIP gpu_test: no emulated runner in this build"; s=1; finish; }
RUNNER_SIMT=$(realpath "$RUNNER_SIMT")
bench=$(realpath "$(dirname "$RUNNER_SIMT")/../bench/bench_gpu-simt")
mkdir -p "$d/pack/models" "$d/pack/lib" "$d/pack/data" && ln -s "$bench" "$d/pack/bench_gpu" && ln -s "$RUNNER_SIMT" "$d/pack/run" && ln -s "$top/tests" "$d/pack/tests"
ln -s "$top/models/mobilenet-s.onnx" "$d/pack/models/"
export GPU_PACK=$d/pack GPU_SMALL=1
has() { grep -q "\"what\":\"$1\".*\"checked_error\"" "$d/out/gpu.jsonl"; }
check 'all parts but accuracy run' "$top/bench/gpu.sh" "$d/out" floor conformance expand nearest signature exhaustive epoch train spiking
for what in copy 'own tiles' 'weights drawn' 'nearest L1' 'nearest L2' signatures 'exhaustive test' 'tuning epoch' 'training epoch'; do check "a row for $what" has "$what"; done
check 'the table names them' grep -q 'exhaustive test .*mobilenet-s' "$d/out/table.txt"
check 'spiking rows: images tested' grep -q '"what":"exhaustive test","network":"snn-tiny".*"checked_error":[0-9.e-]*,' "$d/out/gpu.jsonl"
check 'spiking rows: a tuning epoch' grep -q '"what":"tuning epoch","network":"snn-tiny".*"checked_error":[0-9.e-]*,' "$d/out/gpu.jsonl"
check 'shares of the floor are given' grep -q '"what":"tuning epoch".*"floor_s":[0-9.e-]*[1-9]' "$d/out/gpu.jsonl"
check 'conformance is counted' grep -Eq 'suite backend: [0-9]+ passed, 0 failed' "$d/out/log.txt"
check 'so is that of spikes' grep -Eq 'suite spike: [0-9]+ passed, 0 failed' "$d/out/log.txt"
if [ -e /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz ]; then
    cp /usr/share/datasets/fashion-mnist/t10k-*.gz "$d/pack/data/"
    check 'accuracy against fp32' "$top/bench/gpu.sh" "$d/out" accuracy
    check 'a row for accuracy' has 'mean accuracy, points from fp32'
else echo 'SKIP gpu_test: no Fashion-MNIST (dataset-fashion-mnist)'; s=$((s + 1)); fi
no() { ! "$@"; }
check 'an unknown part is refused' no "$top/bench/gpu.sh" "$d/out" nonsense
check 'a missing pack is said' bash -c "GPU_PACK=$d/none '$top/bench/gpu.sh' '$d/out2' 2>&1 | grep -q 'make gpu-pack'"
check 'bench_gpu says how it is used' bash -c "! '$bench' what 2>&1 | grep -q usage && exit 1 || exit 0"
finish
