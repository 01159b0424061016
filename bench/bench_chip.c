/* bench_chip.c - weights drawn a second and core: each build of the loop, at 16, 8 and 6 bits, each first checked to the bit against
 * the readable version (kernels/draw.h), which is the baseline.  Random magnitudes; preset r1 at sigma 0.048. */
#include "base/build.h"
#include "chip/draw.h"
#include "chip/map.h"
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = 100000, CHECKED = 3000, ROUNDS = 21 };

static float w[N];
static int32_t q[N];

static void one_by_one(float *out, const int32_t *m, size_t n, const ot_cell_map *map, ot_draw_key key, int bits, double step)
{
    for (size_t i = 0; i < n; i++) out[i] = ot_draw_weight(map, key, bits, i, m[i], step);
}

static int row(const char *name, ot__draw_fn fn, size_t n, int bits, const ot_cell_map *map)
{
    ot_draw_key key = {.seed = 1, .layer = 2, .chip = 17};
    double step = 1.0 / ((1 << bits) - 1), rate[ROUNDS];
    uint32_t s = 1;
    for (size_t i = 0; i < N; i++) {
        s = s * 1664525u + 1013904223u;
        q[i] = (int32_t)(s >> (32 - bits));
        if (s & 1) q[i] = -q[i];
    }
    fn(w, q, CHECKED, map, key, bits, step);
    for (size_t i = 0; i < CHECKED; i++)
        if (ot_float_bits(w[i]) != ot_float_bits(ot_draw_weight(map, key, bits, i, q[i], step))) {
            fprintf(stderr, "bench_chip: %s at %d bits: weight %zu is not the readable version's\n", name, bits, i);
            return 1;
        }
    fn(w, q, n, map, key, bits, step);                                   /* warm */
    for (int r = 0; r < ROUNDS; r++) {
        key.chip = (uint32_t)r;
        double start = cpu_seconds();
        fn(w, q, n, map, key, bits, step);
        rate[r] = (double)n / (cpu_seconds() - start);
    }
    qsort(rate, ROUNDS, sizeof *rate, by_value);
    printf("{\"bench\":\"chip\",\"loop\":\"%s\",\"bits\":%d,\"weights\":%zu,\"n\":%d,\"median_weights_per_s\":%.4g,\"p10\":%.4g,\"p90\":%.4g,\"max\":%.4g,"
           "\"check\":\"%d weights to the bit\",\"commit\":\"%s\",\"compiler\":\"%s\"}\n",
           name, bits, n, ROUNDS, rate[ROUNDS / 2], rate[ROUNDS / 10], rate[ROUNDS * 9 / 10], rate[ROUNDS - 1], CHECKED, ot__build_commit(),
           ot__build_compiler());
    return 0;
}

int main(void)
{
    ot_device dev;
    ot_cell_map map;
    ot__draw_variant v[OT_DRAW_VARIANTS];
    int n = ot__draw_variants(v), wrong = 0;
    static const int bits[] = {16, 8, 6};
    if (ot_device_open(&dev, "r1") != OT_OK) {
        fprintf(stderr, "bench_chip: %s\n", ot_last_error());
        return 1;
    }
    ot__cell_map_make(&map, &dev, 0.02, 0.048 * 0.70710678);
    for (int b = 0; b < 3; b++)
        for (int i = 0; i < n; i++)
            if (v[i].usable) wrong |= row(v[i].name, v[i].fn, v[i].fn == ot__draw_base ? N / 20 : N, bits[b], &map);
    wrong |= row("readable", one_by_one, N / 100, 16, &map);
    return wrong;
}
