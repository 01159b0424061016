/* pick.c - which build of the drawing loop this processor runs.  All give the same bits; they differ in speed alone. */
#include "chip/draw.h"

int ot__draw_variants(ot__draw_variant out[OT_DRAW_VARIANTS])
{
    int n = 0;
#ifdef OT_DRAW_X86
    __builtin_cpu_init();
    int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    out[n++] = (ot__draw_variant){"x86-64-v4", ot__draw_v4, ot__normals_v4, v4};
    out[n++] = (ot__draw_variant){"x86-64-v3", ot__draw_v3, ot__normals_v3, v3};
#endif
    out[n++] = (ot__draw_variant){"base", ot__draw_base, ot__normals_base, 1};
    return n;
}

static ot__draw_variant pick(void)
{
    ot__draw_variant v[OT_DRAW_VARIANTS];
    int n = ot__draw_variants(v), i = 0;
    while (i < n - 1 && !v[i].usable) i++;
    return v[i];
}

ot__draw_fn    ot__draw_pick(void) { return pick().fn; }
ot__normals_fn ot__normals_pick(void) { return pick().normals; }
