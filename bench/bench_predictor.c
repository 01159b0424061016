/* bench_predictor.c - seconds to learn a predictor from 1,000 signatures: each model first fitted with one thread and with all, which must agree
 * to the bit and explain most of y, then timed: processor time of one thread, wall time of all.  compare_predictor.sh holds the rows against
 * R earth, scikit-learn and XGBoost on the same data.
 *
 *     bench_predictor [--dump FOLDER] [--rounds N] [--only ROW]
 *
 * --dump writes x_P.bin (1000, P), y_P.bin and ROW.fit.bin as raw doubles.  Data are drawn: 12 latent causes with collinear features, a bent y. */
#include "base/build.h"
#include "ohmtrim/predictor.h"
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 1000, LATENT = 12, MOST = 101 };

typedef struct bench_row { const char *name; ot_predictor_kind kind; int degree, p; } bench_row;
static const bench_row rows[] = {
    {"mars1_p370", OT_PREDICTOR_MARS, 1, 370},   {"mars1_p1170", OT_PREDICTOR_MARS, 1, 1170}, {"mars2_p370", OT_PREDICTOR_MARS, 2, 370},
    {"boost_p370", OT_PREDICTOR_BOOST, 1, 370},  {"ridge_p370", OT_PREDICTOR_RIDGE, 1, 370},  {"ridge_p1170", OT_PREDICTOR_RIDGE, 1, 1170},
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double normal(uint64_t *s)                /* the sum of twelve, less six: near enough */
{
    double sum = -6;
    for (int k = 0; k < 12; k++) {
        *s = *s * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(*s >> 11) * 0x1p-53;
    }
    return sum;
}

static void make(double *x, double *y, int p)
{
    uint64_t s = 1;
    double  *load = malloc((size_t)p * LATENT * sizeof *load), z[LATENT];
    for (int k = 0; k < p * LATENT; k++) load[k] = normal(&s);
    for (int i = 0; i < N; i++) {
        for (int l = 0; l < LATENT; l++) z[l] = normal(&s);
        for (int j = 0; j < p; j++) {
            double v = 0.5 * normal(&s);
            for (int l = 0; l < LATENT; l++) v += load[j * LATENT + l] * z[l] / sqrt(LATENT);
            x[(size_t)i * (size_t)p + (size_t)j] = (double)(float)v;
        }
        double bent = 0;
        for (int l = 0; l < LATENT; l++) bent += fabs(z[l] + 0.3 * l - 1) / (l + 1);
        y[i] = (double)(float)(90 - 2 * bent - 0.5 * z[0] * fmax(0, z[1]) + 0.3 * normal(&s));
    }
    free(load);
}

static int dump(const char *folder, const char *name, const double *a, size_t n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.bin", folder, name);
    FILE *f = fopen(path, "wb");
    int good = f && fwrite(a, sizeof *a, n, f) == n;
    if (f) fclose(f);
    if (!good) fprintf(stderr, "bench_predictor: cannot write %s\n", path);
    return good;
}

static int one(const bench_row *b, int rounds, const char *folder)
{
    size_t  count = (size_t)N * (size_t)b->p;
    double *x = malloc(count * sizeof *x), y[N], fit[2][N], cpu[MOST], wall[MOST], mean = 0, rss = 0, tss = 0;
    int     good = 0;
    ot_predictor m;
    ot_predictor_options opt = ot_predictor_defaults(b->kind);
    opt.degree = b->degree;
    make(x, y, b->p);
    for (int many = 0; many < 2; many++) {                       /* right first; warm, too */
        opt.threads = many ? 0 : 1;
        if (ot_predictor_fit(&m, x, y, N, b->p, &opt) != OT_OK) {
            fprintf(stderr, "bench_predictor: %s\n", ot_last_error());
            goto done;
        }
        for (int i = 0; i < N; i++) fit[many][i] = ot_predictor_value(&m, x + (size_t)i * (size_t)b->p);
        ot_predictor_free(&m);
    }
    for (int i = 0; i < N; i++) mean += y[i] / N;
    for (int i = 0; i < N; i++) rss += (fit[0][i] - y[i]) * (fit[0][i] - y[i]), tss += (mean - y[i]) * (mean - y[i]);
    if (memcmp(fit[0], fit[1], sizeof fit[0]) || !(rss < 0.5 * tss)) {
        fprintf(stderr, "bench_predictor: %s: %s\n", b->name, rss < 0.5 * tss ? "threads change the model" : "it does not learn");
        goto done;
    }
    if (folder) {
        char name[64];
        snprintf(name, sizeof name, "%s.fit", b->name);
        if (!dump(folder, name, fit[0], N)) goto done;
        snprintf(name, sizeof name, "x_%d", b->p);
        if (!dump(folder, name, x, count)) goto done;
        snprintf(name, sizeof name, "y_%d", b->p);
        if (!dump(folder, name, y, N)) goto done;
    }
    for (int r = 0; r < 2 * rounds; r++) {                        /* one thread, all, one thread, .. */
        opt.threads = r % 2 ? 0 : 1;
        double c = seconds(CLOCK_THREAD_CPUTIME_ID), w = seconds(CLOCK_MONOTONIC);
        if (ot_predictor_fit(&m, x, y, N, b->p, &opt) != OT_OK) goto done;
        if (r % 2) wall[r / 2] = seconds(CLOCK_MONOTONIC) - w;
        else cpu[r / 2] = seconds(CLOCK_THREAD_CPUTIME_ID) - c;
        ot_predictor_free(&m);
    }
    qsort(cpu, (size_t)rounds, sizeof *cpu, by_value);
    qsort(wall, (size_t)rounds, sizeof *wall, by_value);
    printf("{\"bench\":\"predictor\",\"what\":\"%s\",\"by\":\"ohmtrim\",\"rows\":%d,\"p\":%d,\"r2\":%.6f,\"n\":%d,\"median_cpu_s\":%.4g,\"p10_cpu_s\":%.4g,"
           "\"p90_cpu_s\":%.4g,\"median_wall_s\":%.4g,\"p10_wall_s\":%.4g,\"check\":\"1 thread = all, to the bit\",\"commit\":\"%s\",\"compiler\":\"%s\"}\n",
           b->name, N, b->p, 1 - rss / tss, rounds, cpu[rounds / 2], cpu[rounds / 10], cpu[rounds * 9 / 10], wall[rounds / 2], wall[rounds / 10],
           ot__build_commit(), ot__build_compiler());
    fflush(stdout);
    good = 1;
done:
    free(x);
    return good;
}

int main(int argc, char **argv)
{
    const char *folder = NULL, *only = NULL;
    int         rounds = 7, wrong = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--dump")) folder = argv[i + 1];
        else if (!strcmp(argv[i], "--only")) only = argv[i + 1];
        else if (!strcmp(argv[i], "--rounds")) rounds = atoi(argv[i + 1]);
        else rounds = 0;
    }
    if (rounds < 1 || rounds > MOST || argc % 2 == 0) {
        fprintf(stderr, "bench_predictor: [--dump FOLDER] [--rounds 1..%d] [--only ROW]\n", MOST);
        return 2;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!only || !strcmp(only, rows[i].name)) wrong |= !one(&rows[i], rounds, folder);
    return wrong;
}
