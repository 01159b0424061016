/* product_base.c - the product for any processor of the target, and the choice among the builds. */
#define OT_PRODUCT       ot__product_base
#define OT_PRODUCT_BYTES 16
#include "test/product_loop.h"

int ot__product_variants(ot__product_variant out[OT__PRODUCT_VARIANTS])
{
    int n = 0;
#ifdef OT_CPU_X86
    __builtin_cpu_init();
    int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    out[n++] = (ot__product_variant){"x86-64-v4", ot__product_v4, v4};
    out[n++] = (ot__product_variant){"x86-64-v3", ot__product_v3, v3};
#endif
    out[n++] = (ot__product_variant){"base", ot__product_base, 1};
    return n;
}

void ot__product(const ot__product_args *g)
{
    ot__product_variant v[OT__PRODUCT_VARIANTS];
    int n = ot__product_variants(v), i = 0;
    while (i < n - 1 && !v[i].usable) i++;
    v[i].fn(g);
}
