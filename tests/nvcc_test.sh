#!/bin/bash
# nvcc_test.sh - what nvcc makes of kernels/: valid for sm_70 though the newest toolkits no longer know it, exact where drawing must be.
# Compiled once, for compute_75; no GPU is needed.
set -u
cd "$(dirname "$0")/.."
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
p=0 f=0 s=0
pass() { p=$((p + 1)); }
fail() { echo "FAIL nvcc_test: $1"; tail -n 20 "$d/log" 2>/dev/null; f=$((f + 1)); }
done_() { echo "$p passed, $f failed, $s skipped"; [ $f = 0 ]; exit; }
cuda=${CUDA_PATH:-/usr/local/cuda}
nvcc=$(command -v "$cuda/bin/nvcc" || command -v nvcc)
[ -n "$nvcc" ] || { echo 'SKIP nvcc_test: no nvcc'; s=1; done_; }
ptxas=$(dirname "$nvcc")/ptxas

# The PTX for sm_75, said to be for sm_70: ptxas still refuses what an sm_70 has not.
one() {
    local b; b=$(basename "$1" .cu)
    local exact=; [ "$b" = draw ] && exact=--fmad=false
    "$nvcc" -std=c++17 -O3 $exact -I. -arch=compute_75 -ptx -o "$d/$b.ptx" "$1" >"$d/$b.log" 2>&1 || return
    sed 's/^\.target sm_75/.target sm_70/' "$d/$b.ptx" >"$d/$b.70.ptx"
    grep -q '^\.target sm_70' "$d/$b.70.ptx" && "$ptxas" -arch=sm_75 -v -o /dev/null "$d/$b.70.ptx" >>"$d/$b.log" 2>&1 && touch "$d/$b.ok"
}
export -f one; export nvcc ptxas d
ls kernels/*.cu | xargs -P "${JOBS:-2}" -I{} bash -c 'one {}'
for cu in kernels/*.cu; do
    b=$(basename "$cu" .cu)
    cp "$d/$b.log" "$d/log"
    [ -e "$d/$b.ok" ] && pass || fail "$cu is valid for sm_70"
    grep -q 'warning' "$d/log" && fail "$cu compiles without a warning" || pass
done
: >"$d/log"
# Code for 7.5 would be taken in the test above and be missing on 7.0.
grep -nE '__CUDA_ARCH__ *(>=?|==) *7[0-9][1-9]|__CUDA_ARCH__ *(>=?|==) *7[1-9]0' kernels/* >"$d/log" && fail 'no code between sm_70 and sm_80' || pass
# What ptxas would tell the tests if it were wrong: tanh.approx wants sm_75.
cat >"$d/new.cu" <<'E2'
extern "C" __global__ void k(float *p) { asm("tanh.approx.f32 %0, %0;" : "+f"(*p)); }
E2
if "$nvcc" -arch=compute_75 -ptx -o "$d/new.ptx" "$d/new.cu" >"$d/log" 2>&1 && sed -i 's/^\.target sm_75/.target sm_70/' "$d/new.ptx" &&
   ! "$ptxas" -arch=sm_75 -o /dev/null "$d/new.ptx" >"$d/log" 2>&1; then pass; else fail 'ptxas refuses for sm_70 what sm_75 brought'; fi

# Drawing: nothing approximate, nothing flushed; sums and products of floats are fused only where draw.h says so.
if [ -s "$d/draw.ptx" ]; then
    grep -nE '\.approx|\.ftz' "$d/draw.ptx" >"$d/log" && fail 'drawing is approximate nowhere' || pass
    grep -q 'sqrt\.rn\.f32' "$d/draw.ptx" && grep -q 'fma\.rn\.f32' "$d/draw.ptx" && pass || fail 'drawing has a rounded sqrt and explicit fma'
    grep -nE 'fma\.rn\.f64' "$d/draw.ptx" >"$d/log" && fail 'no double is fused: draw.h asks for none' || pass
    # With contraction allowed there are no fewer: the flag takes away, and the build gives it.
    "$nvcc" -std=c++17 -O3 -I. -arch=compute_75 -ptx -o "$d/fused.ptx" kernels/draw.cu >"$d/log" 2>&1
    own=$(grep -cE 'fma\.rn\.f32' "$d/draw.ptx") fused=$(grep -cE 'fma\.rn\.f32' "$d/fused.ptx")
    mul=$(grep -cE 'mul\.rn\.f32|mul\.f32' "$d/draw.ptx")
    echo "draw.cu: $own fma, $mul products; with contraction allowed $fused fma" >"$d/log"
    [ "$fused" -ge "$own" ] && [ "$mul" -gt 0 ] && pass || fail 'fma only where it is written'
    grep -q 'kernels/draw.o: FILE_NVCC_FLAGS := --fmad=false' Makefile && pass || fail 'the Makefile compiles draw.cu with --fmad=false'
else fail 'draw.cu compiles'; fi
done_
