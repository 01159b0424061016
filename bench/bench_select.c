/* bench_select.c - the tree of images by their correctness vectors, cut at ten, with medoids: checked first (threads agree, a cut's medoids and sizes
 * are right on a sample), then timed beside its memory; select_peers.py does the same with scipy on the same bits.
 *
 *     bench_select [images chips accuracy [dump.bin]]        10000 1000 0.74 */
#include "base/build.h"
#include "ohmtrim/select.h"
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { ROUNDS = 3, K = 10 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak_mb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static double uniform(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 11) * 0x1p-53;
}

/* Each image is hard in its own way, each chip weak in its own: a chip is right if skill beats difficulty, with noise. */
static void fill(ot_correctness *v, double accuracy)
{
    uint64_t s = 7;
    double (*skill)[4] = malloc((size_t)v->chips * sizeof *skill), hard[4];
    for (int c = 0; c < v->chips; c++)
        for (int k = 0; k < 4; k++) skill[c][k] = uniform(&s);
    for (int i = 0; i < v->images; i++) {
        for (int k = 0; k < 4; k++) hard[k] = uniform(&s);
        for (int c = 0; c < v->chips; c++) {
            double margin = 0;
            for (int k = 0; k < 4; k++) margin += (skill[c][k] - hard[k]) / 2;
            ot_correctness_set(v, i, c, margin + 0.3 * (uniform(&s) - 0.5) > 1.1 * (0.5 - accuracy));
        }
    }
    free(skill);
}

static int fail(const char *what)
{
    fprintf(stderr, "bench_select: %s: %s\n", what, ot_last_error());
    return 1;
}

/* Each medoid beats a hundred members of its cluster. */
static int right(const ot_correctness *v, const ot_selection *s)
{
    for (int k = 0; k < s->k; k++) {
        double medoid = 0;
        int    seen = 0;
        for (int i = 0; i < s->images; i++)
            if (s->label[i] == k) medoid += sqrt(ot_correctness_distance(v, s->medoid[k], i));
        for (int j = 0; j < s->images && seen < 100; j += 1 + s->size[k] / 100) {
            double sum = 0;
            if (s->label[j] != k) continue;
            for (int i = 0; i < s->images; i++)
                if (s->label[i] == k) sum += sqrt(ot_correctness_distance(v, j, i));
            if (sum < medoid * (1 - 1e-12)) return 0;
            seen++;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    const int     images = argc > 1 ? atoi(argv[1]) : 10000, chips = argc > 2 ? atoi(argv[2]) : 1000;
    const double  accuracy = argc > 3 ? atof(argv[3]) : 0.74;
    double        tree[ROUNDS], select[ROUNDS], before, ones = 0;
    ot_correctness *v;
    ot_selection  *s = NULL;
    if (ot_correctness_make(&v, images, chips) != OT_OK) return fail("bits");
    fill(v, accuracy);
    for (int i = 0; i < images * v->words; i++) ones += __builtin_popcountll(v->bits[i]);
    if (argc > 4) {
        FILE *f = fopen(argv[4], "wb");
        if (!f || fwrite(v->bits, 8, (size_t)images * (size_t)v->words, f) != (size_t)images * (size_t)v->words || fclose(f)) return fail(argv[4]);
    }
    ot_merge *a = calloc((size_t)images, sizeof *a), *b = calloc((size_t)images, sizeof *b);
    before = peak_mb();
    if (ot_correctness_tree(a, v, OT_WARD, 1) != OT_OK || ot_correctness_tree(b, v, OT_WARD, 0) != OT_OK) return fail("tree");
    if (memcmp(a, b, (size_t)(images - 1) * sizeof *a)) return fprintf(stderr, "bench_select: threads change the tree\n"), 1;
    for (int r = 0; r < ROUNDS; r++) {
        double start = now();
        if (ot_correctness_tree(a, v, OT_WARD, 0) != OT_OK) return fail("tree");
        tree[r] = now() - start;
        ot_selection_free(s);
        start = now();
        if (ot_correctness_select(&s, v, a, K, 0) != OT_OK) return fail("selection");
        select[r] = now() - start;
    }
    if (!right(v, s)) return fprintf(stderr, "bench_select: a medoid is none\n"), 1;
    qsort(tree, ROUNDS, sizeof *tree, by_value);
    qsort(select, ROUNDS, sizeof *select, by_value);
    printf("{\"bench\":\"select\",\"commit\":\"%s\",\"images\":%d,\"chips\":%d,\"accuracy\":%.3f,\"tree_s\":%.2f,\"medoids_s\":%.2f,\"peak_growth_mb\":%.0f,\"within\":%.1f,\"sizes\":[", ot__build_commit(),
           images, chips, ones / ((double)images * chips), tree[ROUNDS / 2], select[ROUNDS / 2], peak_mb() - before, s->within);
    for (int k = 0; k < K; k++) printf("%s%d", k ? "," : "", s->size[k]);
    printf("]}\n");
    ot_selection_free(s);
    ot_correctness_free(v);
    free(a), free(b);
    return 0;
}
