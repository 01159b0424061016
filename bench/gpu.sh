#!/bin/bash
# gpu.sh OUT [PART ...] - what only a GPU can show, in under nine minutes: conformance, sanitizers, the card's floors, each job beside its
# floor, the same jobs in PyTorch.  Needs a GPU, and for `sanitizer` compute-sanitizer, for `peers` a python3 with torch; no network.
#
#     make gpu-pack                        # where there are a compiler and the libraries: build/gpu, with what it needs
#     bench/gpu.sh results                 # where the GPU is: all parts, a table at the end
#     bench/gpu.sh results epoch peers     # some of them: several short visits add up
#
# Parts: conformance sanitizer floor expand nearest signature exhaustive accuracy epoch train spiking peers.  Rows go to OUT/gpu.jsonl and OUT/peers.jsonl,
# the rest to OUT/log.txt; the table to OUT/table.txt.  GPU_PACK=DIR: where the pack lies; PYTHON=: one with torch; GPU_SMALL=1: tiny sizes,
# to try the script itself.  Fails if conformance or a sanitizer does, or without a GPU.
set -u
here=$(cd "$(dirname "$0")" && pwd)
pack=${GPU_PACK:-$here/../build/gpu}
[ $# -ge 1 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ -x "$pack/bench_gpu" ] || { echo "gpu.sh: no $pack/bench_gpu; make it with 'make gpu-pack'" >&2; exit 3; }
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 4
shift
parts=("$@"); [ $# -gt 0 ] || parts=(floor conformance expand nearest signature exhaustive accuracy epoch train spiking peers sanitizer)
export LD_LIBRARY_PATH=$pack/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} OHMTRIM_TESTS=$pack/tests OT_REQUIRE_GPU=1
bad=0 start=$SECONDS
log() { echo "$@" | tee -a "$out/log.txt" >&2; }
small=() peers_small=()
if [ -n "${GPU_SMALL-}" ]; then small=(--chips 2 --images 128 --rounds 1) peers_small=(--small); fi
# limit seconds, then a bench_gpu part with its arguments
row() {
    local own=("${small[@]}")
    [ -z "${GPU_SMALL-}" ] || case $2 in accuracy) ;; train) own=(--images 24 --rounds 1 --network mobilenet-s) ;; floor) own=(--images 1 --rounds 1 --network mobilenet-s) ;; *) case " $* " in *\ snn-*) own+=(--network snn-tiny) ;; *) own+=(--network mobilenet-s) ;; esac ;; esac
    timeout "$1" "$pack/bench_gpu" "${@:2}" "${own[@]}" >>"$out/gpu.jsonl" 2>"$out/row.tmp" || { bad=1; log "bench_gpu ${*:2}: status $?: $(tail -n 1 "$out/row.tmp")"; }
    cat "$out/row.tmp" >>"$out/log.txt"; rm -f "$out/row.tmp"
}
# The last value of a `what` in gpu.jsonl, as a number in units of $2
measured() {
    grep "\"what\":\"$1\"" "$out/gpu.jsonl" 2>/dev/null | grep "\"precision\":\"$3\"" | tail -n 1 | sed 's/.*"value":\([0-9.e+]*\).*/\1/' | awk -v u="$2" '{print $1 / u}'
}
floors() { copy=$(measured copy 1e9 fp32) matrix=$(measured 'own tiles' 1e12 "$1"); echo ${copy:+--copy $copy} ${matrix:+--matrix $matrix}; }
conformance() {
    suites=(backend plan tune spike) filter=cuda
    [ -z "${GPU_SMALL-}" ] || suites=(backend spike) filter=cuda_dense
    for suite in "${suites[@]}"; do
        [ -z "${GPU_SMALL-}" ] || [ $suite = backend ] || filter=golden
        timeout 150 "$pack/run" -s "test_$suite" -t $filter >"$out/conformance.tmp" 2>&1; status=$?
        total=$(tail -n 1 "$out/conformance.tmp")
        log "conformance, suite $suite: $total"
        [ "$status" = 0 ] || { bad=1; grep -a '^FAIL' "$out/conformance.tmp" | head -n 40 | tee -a "$out/log.txt"; }
    done
    rm -f "$out/conformance.tmp"
}
sanitizer() {
    tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
    [ -x "$tool" ] || { log "sanitizer: no compute-sanitizer here, not run"; return; }
    for t in "memcheck backend cuda_conv_7x" "racecheck backend cuda_conv_7x" "memcheck spike loop_cuda_1" "racecheck spike loop_cuda_1"; do
        read -r how suite which <<<"$t"
        timeout 100 "$tool" --tool "$how" --error-exitcode 9 "$pack/run" -s "test_$suite" -t "$which" >"$out/sanitizer.tmp" 2>&1; status=$?
        log "compute-sanitizer $how, suite $suite: status $status: $(tail -n 1 "$out/sanitizer.tmp")"
        [ "$status" = 0 ] || { bad=1; grep -a '=====' "$out/sanitizer.tmp" | head -n 30 | tee -a "$out/log.txt"; }
    done
    rm -f "$out/sanitizer.tmp"
}
peers() {
    python=${PYTHON:-python3}
    "$python" -c 'import torch' 2>/dev/null || { log "peers: $python has no torch, not run"; return; }
    commit=$(cat "$pack/commit" 2>/dev/null || echo unknown)
    jobs=("tuning --network mobilenet" "tuning --network vgg16" expand exhaustive nearest spiking)
    [ -z "${GPU_SMALL-}" ] || jobs=(nearest)
    for p in "${jobs[@]}"; do
        timeout 120 "$python" "$here/peers/${p%% *}.py" ${p#"${p%% *}"} --out "$out" --budget 60 --commit "$commit" "${peers_small[@]}" >>"$out/log.txt" 2>&1 || log "peers: $p: status $?"
    done
}
why=$("$pack/bench_gpu" floor --images 1 --rounds 1 --network mobilenet-s 2>&1 >/dev/null) || { echo "gpu.sh: $why" >&2; exit 4; }
for part in "${parts[@]}"; do
    t=$SECONDS
    case $part in
        conformance) conformance ;;
        sanitizer) sanitizer ;;
        floor) for m in fp32 tf32 fp16; do row 60 floor --precision $m; done ;;
        expand) row 60 expand --precision fp32; row 60 expand --precision fp16 ;;
        nearest) row 90 nearest $(floors fp32) ;;
        signature) row 60 signature --precision fp16 ;;
        exhaustive) row 120 exhaustive --precision fp16 $(floors fp16) ;;
        accuracy) row 60 accuracy --precision fp16 --file "$pack/models/mobilenet-s.onnx" --data "fashion-mnist:$pack/data" ;;
        epoch) for n in mobilenet vgg16; do
                   for m in fp16 tf32; do row 60 epoch --network $n --precision $m $(floors $m); done
                   row 90 epoch --network $n --precision fp16 --chips 16 --rounds 1 $(floors fp16)
               done ;;
        train) for n in mobilenet vgg16 resnet18; do
                   for b in cuda:tf32 cuda:tf32+libs cuda:fp32; do
                       [ -z "${GPU_SMALL-}" ] || [ $n$b = mobilenetcuda:fp32 ] || continue
                       row 60 train --network $n --precision ${b:5:4} --backend $b
                   done
               done ;;
        spiking) for m in fp16 tf32; do
                     row 90 exhaustive --network snn-vgg9 --precision $m --chips 1 --rounds 3 $(floors $m)
                     row 120 epoch --network snn-vgg9 --precision $m --rounds 2 $(floors $m)
                 done
                 row 120 exhaustive --network snn-vgg9 --precision fp16 --chips 16 $(floors fp16) ;;
        peers) peers ;;
        *) echo "gpu.sh: no part '$part'" >&2; exit 2 ;;
    esac
    log "$part: $((SECONDS - t)) s"
done
"$here/gpu-table" "$out" | tee "$out/table.txt"
log "all: $((SECONDS - start)) s"
exit $bad
