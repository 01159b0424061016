#!/bin/bash
# draw_test.sh - the drawing code seen from outside: no libm in it, the same bits from every compiler and setting, Philox words equal to
# cuRAND's (its header runs on the host), nothing approximate in what nvcc makes of it.
set -u
cd "$(dirname "$0")/.."
top=$PWD; d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
p=0 f=0 s=0
pass() { p=$((p + 1)); }
fail() { echo "FAIL draw_test: $1"; tail -n 20 "$d/log" 2>/dev/null; f=$((f + 1)); }
skip() { echo "SKIP draw_test: $1"; s=$((s + 1)); }
gcc=${CC:-gcc}; set -- $gcc; gcc=${*: -1}                       # without a ccache in front
maths=$(sed -n 's/^MATHS *:= //p' config.mk)
inc="-std=c11 -D_GNU_SOURCE -Iinclude -Ihost -I."
x86=; [ "$(uname -m)" = x86_64 ] && x86=1
cuda=${CUDA_HOME:-/usr/local/cuda}

# Drawing calls nothing of libm: compiled as the Makefile does, the objects want no symbol but memory's.
for v in base ${x86:+v3 v4}; do
    arch=; [ $v = base ] || arch="-march=x86-64-$v -DOT_DRAW_X86"
    if $gcc $inc -O3 $maths $arch -c host/chip/draw_$v.c -o "$d/$v.o" 2>"$d/log" && nm "$d/$v.o" | grep -q " T ot__draw_$v"; then
        extra=$(nm -u "$d/$v.o" | awk '{print $2}' | grep -vxE 'mem(set|cpy|move)|_GLOBAL_OFFSET_TABLE_')
        [ -z "$extra" ] && pass || fail "draw_$v.o calls $extra"
    else fail "draw_$v.c compiles"; fi
done

# The same bits: 500 weights at 16 and at 7 bits, as one number.
cat >"$d/main.c" <<'E2'
#include "chip/draw.h"
#include <stdio.h>
int main(void)
{
    ot_cell_map map = {.c = {{1.02f, 0.085f, 0.0011f, -1e-4f, -3e-6f, 1e-6f}, {-0.001f, -0.0038f, 0.0006f, -2e-4f, 1e-5f, 1e-6f, 1e-7f, 1e-8f}},
                       .n_terms = {6, 8}, .z_min = -6.1f, .z_max = 5.2f, .x_min = -0.009f, .x_max = 1.3f};
    uint64_t h = 0xcbf29ce484222325u;
    for (int bits = 7; bits <= 16; bits += 9) {
        ot_draw_key key = {.seed = 0x123456789abcdefu, .layer = 3, .chip = 17};
        int32_t q[500];
        float w[500];
        for (int i = 0; i < 500; i++) q[i] = (i * 2654435 % (1 << bits)) * (i % 3 ? 1 : -1);
        ot__draw_base(w, q, 500, &map, key, bits, 1e-4);
        for (int i = 0; i < 500; i++) h = (h ^ ot_float_bits(w[i])) * 0x100000001b3u;
    }
    printf("%016llx\n", (unsigned long long)h);
    return 0;
}
E2
want=
same() {                                                        # same NAME COMPILER FLAGS...
    local n=$1 c=$2 got; shift 2
    if ! $c $inc "$@" "$d/main.c" host/chip/draw_base.c -o "$d/one" -lm 2>"$d/log"; then fail "$n compiles"; return; fi
    got=$("$d/one"); want=${want:-$got}
    [ "$got" = "$want" ] && pass || fail "$n draws $got, want $want"
}
same 'gcc as built' "$gcc" -O3 $maths
same 'gcc -O0, no options' "$gcc" -O0
same 'gcc -O2, contraction allowed' "$gcc" -O2 -ffp-contract=fast
if [ "$x86" ] && grep -qw fma /proc/cpuinfo && grep -qw avx2 /proc/cpuinfo; then
    same 'gcc, AVX2 and FMA' "$gcc" -O3 -march=x86-64-v3 $maths
    same 'gcc, FMA, contraction allowed' "$gcc" -O2 -march=x86-64-v3 -ffp-contract=fast -fno-math-errno
else skip 'the processor has no FMA'; fi
if command -v clang >/dev/null; then
    same 'clang -O0' clang -O0
    same 'clang -O3' clang -O3 $maths
    [ "$x86" ] && grep -qw avx2 /proc/cpuinfo && same 'clang, AVX2 and FMA, contraction allowed' clang -O3 -march=x86-64-v3 -ffp-contract=fast
else skip 'no clang'; fi

# cuRAND: offset / 4 is c0 and c1 (group, layer), subsequence is c2 and c3 (chip, purpose).
if [ -e "$cuda/include/curand_kernel.h" ] && command -v g++ >/dev/null; then
    cat >"$d/curand.cpp" <<'E2'
#include <cmath>
#include <cstdio>
#include <curand_kernel.h>
#include "kernels/philox.h"
int main()
{
    int bad = 0;
    for (unsigned i = 0; i < 5000; i++) {
        unsigned group = i * 2654435761u, layer = i % 53, chip = i * 40503u + 7, purpose = i % 7;
        unsigned long long seed = 0x9e3779b97f4a7c15ull * i, subsequence = (unsigned long long)purpose << 32 | chip;
        curandStatePhilox4_32_10_t state;
        curand_init(seed, subsequence, ((unsigned long long)layer << 32 | group) * 4, &state);
        uint4 want = curand4(&state);
        uint32_t x[4];
        ot_philox(&x[0], &x[1], &x[2], &x[3], seed, group, layer, chip, (ot_purpose)purpose);
        bad += x[0] != want.x || x[1] != want.y || x[2] != want.z || x[3] != want.w;
    }
    std::printf("%d of 5000 differ\n", bad);
    return bad != 0;
}
E2
    g++ -O1 -w -isystem "$cuda/include" -I"$top" "$d/curand.cpp" -o "$d/curand" 2>"$d/log" && "$d/curand" >"$d/log" && pass || fail 'Philox words equal cuRAND'
else skip "no cuRAND header in $cuda (or no g++)"; fi

# nvcc: the headers compile for the device, and the code has no approximate and no flushing instruction.
nvcc=$(command -v nvcc || { [ -x "$cuda/bin/nvcc" ] && echo "$cuda/bin/nvcc"; })
if [ -n "$nvcc" ]; then
    cat >"$d/draw.cu" <<'E2'
#include "kernels/draw.h"
#include "kernels/trelu.h"
#include "kernels/adam.h"
extern "C" __global__ void draw(float *w, const int32_t *q, ot_cell_map map, ot_draw_key key, int bits, double step)
{
    uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x;
    w[i] = ot_trelu(ot_draw_weight(&map, key, bits, i, q[i], step), 1.0f, 0.0f, 6.0f);
}
E2
    if "$nvcc" -ptx --fmad=false -I"$top" "$d/draw.cu" -o "$d/draw.ptx" >"$d/log" 2>&1; then
        pass
        grep -nE '\.approx|\.ftz' "$d/draw.ptx" >"$d/log" && fail 'nvcc made something approximate' || pass
        grep -q 'sqrt\.rn\.f32' "$d/draw.ptx" && grep -q 'fma\.rn\.f32' "$d/draw.ptx" && pass || fail 'nvcc made rounded sqrt and fma'
    else fail 'the headers compile with nvcc'; fi
else skip 'no nvcc'; fi
echo "$p passed, $f failed, $s skipped"
[ $f = 0 ]
