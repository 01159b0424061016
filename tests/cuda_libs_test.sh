#!/bin/bash
# cuda_libs_test.sh - our declarations of cuBLAS and cuDNN (host/backend/cuda_api.h) against the real headers, and the loader against the
# real libraries, where a CUDA toolkit is installed.  No GPU is needed.
set -u
cd "$(dirname "$0")/.."
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
p=0 f=0 s=0
pass() { p=$((p + 1)); }
fail() { echo "FAIL cuda_libs_test: $1"; tail -n 20 "$d/log" 2>/dev/null; f=$((f + 1)); }
skip() { echo "SKIP cuda_libs_test: $1"; s=$((s + 1)); }
gcc=${CC:-gcc}; set -- $gcc; gcc=${*: -1}
cuda=${CUDA_HOME:-/usr/local/cuda}
inc="-std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -Ihost -I."
real="-isystem $cuda/include"

# Every value and every prototype is theirs.
cat >"$d/api.c" <<'E2'
#include <cublas_v2.h>
#ifdef WITH_CUDNN
#include <cudnn.h>
#endif
#define OT_CUDA_API_REAL
#include "backend/cuda_api.h"
#define SAME(GIVES, NAME, ARGUMENTS) _Static_assert(__builtin_types_compatible_p(__typeof__(&NAME), GIVES (*) ARGUMENTS), #NAME " is declared as it is");
OT_CUBLAS_CALLS(SAME)
#ifdef WITH_CUDNN
OT_CUDNN_CALLS(SAME)
#define EQUAL(OURS, THEIRS, VALUE) _Static_assert((int)THEIRS == OURS, #THEIRS " is " #VALUE);
OT_CUDA_API_VALUES(EQUAL)
#endif
_Static_assert(sizeof(cublasStatus_t) == sizeof(int) && sizeof(cublasComputeType_t) == sizeof(int) && sizeof(cudaDataType) == sizeof(int), "enumerations are ints");
int main(void) { return 0; }
E2
if [ ! -e "$cuda/include/cublas_v2.h" ]; then skip "no cublas_v2.h in $cuda/include"
else
    cudnn=; [ -e "$cuda/include/cudnn.h" ] && cudnn=-DWITH_CUDNN || skip "no cudnn.h in $cuda/include: cuBLAS alone is compared"
    if $gcc $inc $real $cudnn -Wno-deprecated-declarations -c "$d/api.c" -o "$d/api.o" 2>"$d/log"; then pass; else fail "cuda_api.h agrees with the headers of $cuda"; fi
    # A prototype that is wrong does not get through: the check can fail.
    if sed 's/X(cublasStatus_t, cublasDestroy_v2, (cublasHandle_t))/X(cublasStatus_t, cublasDestroy_v2, (cublasHandle_t *))/' host/backend/cuda_api.h >"$d/cuda_api.h" &&
        mkdir -p "$d/backend" && mv "$d/cuda_api.h" "$d/backend/" && ! $gcc -I"$d" $inc $real $cudnn -Wno-deprecated-declarations -c "$d/api.c" -o "$d/api.o" 2>"$d/log"; then pass
    else fail "a wrong prototype is noticed"; fi
    # cuda_lib.c and cuda_choose.c build against the real runtime's header as well.
    for c in cuda_lib cuda_choose cuda_step cuda; do
        if $gcc $inc $real -DOT_HAVE_CUDA=1 -O1 -c host/backend/$c.c -o "$d/$c.o" 2>"$d/log"; then pass; else fail "$c.c builds against $cuda/include"; fi
    done
fi

# The real libraries are found and have all the calls: without a GPU, opening fails at the runtime's first call and not before.
cat >"$d/open.c" <<'E2'
#include "backend/cuda_lib.h"
#include <stdio.h>
#include <string.h>
/* Stand-ins of what cuda_lib.c calls besides the libraries. */
int cudaMalloc(void **p, size_t n) { (void)n; *p = NULL; return 100; }
int cudaFree(void *p) { (void)p; return 0; }
int cudaGetLastError(void) { return 0; }
int otk_conv_depthwise(const otk_conv *c) { (void)c; return 0; }
int64_t otk_conv_weights(const otk_conv *c) { (void)c; return 0; }
int otk_conv_krsc(const otk_conv *c, otk_type t, const void *a, void *b, otk_stream s) { (void)c, (void)t, (void)a, (void)b, (void)s; return 0; }
int otk_conv_krsc_to_onnx(const otk_conv *c, const float *a, float *b, otk_stream s) { (void)c, (void)a, (void)b, (void)s; return 0; }
int otk_pointwise(otk_type t, otk_shape h, int c, int n, otk_tensor a, otk_tensor b, const otk_after *f, otk_stream s)
{
    (void)t, (void)h, (void)c, (void)n, (void)a, (void)b, (void)f, (void)s;
    return 0;
}
ot_status ot__cuda_fail(int e, const char *call, const char *file, int line) { (void)e, (void)file, (void)line; puts(call); return OT_E_CUDA; }
int main(void)
{
    ot__cuda_lib *lib;
    ot_status     st = ot__cuda_lib_open(&lib, OTK_FP32, NULL);
    puts(st == OT_E_CUDA ? "loaded" : ot_last_error());
    return st != OT_E_CUDA;
}
E2
libs=; for l in "$cuda/lib64" "$cuda/lib"; do ls "$l"/libcublas.so.1[123] "$l"/libcudnn.so.[89] >/dev/null 2>&1 || [ "$(ls "$l" 2>/dev/null | grep -cE '^lib(cublas\.so\.1[123]|cudnn\.so\.[89])$')" -ge 2 ] && { libs=$l; break; }; done
if [ ! -e "$d/cuda_lib.o" ]; then skip "loading: cuda_lib.c was not built"
elif ! $gcc $inc "$d/open.c" "$d/cuda_lib.o" host/base/status.c host/base/memory.c -o "$d/open" -ldl -lm -pthread 2>"$d/log"; then fail "open.c builds"
else
    if [ -z "$libs" ]; then skip "no cuBLAS and cuDNN in $cuda"
    elif OHMTRIM_CUDA_LIBS=$libs "$d/open" >"$d/log" 2>&1; then pass; else fail "the libraries of $libs can be loaded"; fi
fi
echo "$p passed, $f failed, $s skipped"
[ $f = 0 ]
