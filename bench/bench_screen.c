/* bench_screen.c - seconds to learn a screen from 1000 signatures, and what it finds among new ones.  (bench_anomalies asks what it finds among
 * simulated chips; these signatures are Gaussian, so that all software can be held against each other.)
 *
 *     bench_screen [FOLDER]          FOLDER: the signatures are written there as npy, for screen_peers.py
 *
 * Signatures are synthetic: 9 factors with normal loadings / 3, noise of sd 0.5, standardised by the training rows.  New ones, 1000 of each
 * sort, in units of a feature's sd: good; noise a: a normal number times a added to every feature; dead: a tenth of the features (others in
 * each chip) read 0 where a chip reads 0..2 sd above 0 on average; offset: 1 added to every feature.
 *
 * MRCD twice: as published (support 0.75, condition number 50, what rrcov does) and the default (all chips, bend and condition number chosen).
 * One fit on one thread (what peers time), then the whole screen with its five folds.  Checked: one and two threads give the same bits, and
 * the fit alone the screen's log det.  Seconds are of the clock; `cpu_s` of the processor, which others on the machine disturb less. */
#include "base/build.h"
#include "kernels/philox.h"
#include "test/mrcd.h"

#include "ohmtrim/array.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 1000, FACTORS = 9, SORTS = 5 };
static const char *const sorts[SORTS] = {"good", "noise_0_3", "noise_1", "dead", "offset"};

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t drawn;
static double uniform(void)
{
    uint32_t w[4];
    ot_philox(&w[0], &w[1], &w[2], &w[3], 1, drawn++, 77, 0, OT_PURPOSE_SHUFFLE);
    return (w[0] + 0.5) / 4294967296.0;
}
static double normal(void)
{
    double u = uniform();
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * uniform());
}

static void rows(double *x, const double *load, int p)
{
    for (int i = 0; i < N; i++) {
        double f[FACTORS];
        for (int k = 0; k < FACTORS; k++) f[k] = normal();
        for (int j = 0; j < p; j++) {
            double v = 0.5 * normal();
            for (int k = 0; k < FACTORS; k++) v += f[k] * load[k * p + j] / 3;
            x[(size_t)i * (size_t)p + (size_t)j] = v;
        }
    }
}

/* x[0]: training rows; then one block a sort. */
static double *make(int p)
{
    double *x = ot_alloc((size_t)(SORTS + 1) * N * (size_t)p, sizeof *x), *load = ot_alloc((size_t)(FACTORS * p), sizeof *load), *above = ot_alloc((size_t)p, sizeof *above);
    if (!x || !load || !above) exit(1);
    drawn = 0;
    for (int i = 0; i < FACTORS * p; i++) load[i] = normal();
    for (int j = 0; j < p; j++) above[j] = 2 * uniform();
    for (int s = 0; s <= SORTS; s++) rows(x + (size_t)s * N * (size_t)p, load, p);
    for (int j = 0; j < p; j++) {
        double mean = 0, square = 0;
        for (int i = 0; i < N; i++) mean += x[(size_t)i * (size_t)p + (size_t)j] / N;
        for (int i = 0; i < N; i++) square += pow(x[(size_t)i * (size_t)p + (size_t)j] - mean, 2) / N;
        for (size_t i = 0; i < (SORTS + 1) * N; i++) x[i * (size_t)p + (size_t)j] = (x[i * (size_t)p + (size_t)j] - mean) / sqrt(square);
    }
    for (int s = 1; s < SORTS; s++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < p; j++) {
                double *v = x + ((size_t)(s + 1) * N + (size_t)i) * (size_t)p + (size_t)j;
                if (s <= 2) *v += (s == 1 ? 0.3 : 1.0) * normal();
                else if (s == 3 && uniform() < 0.1) *v = -above[j];
                else if (s == 4) *v += 1;
            }
    ot_free(load);
    ot_free(above);
    return x;
}

static int wrong(const char *what)
{
    fprintf(stderr, "bench_screen: %s\n", what);
    return 1;
}

static int row(ot_screen_kind kind, int published, int p, const char *folder, int rounds)
{
    double           *x = make(p), fit_s = INFINITY, screen_s[2] = {INFINITY, INFINITY}, cpu_s = INFINITY;
    ot_screen_options o = ot_screen_defaults(kind);
    ot_screen         s = {0}, other;
    ot_screen_report  r, again;
    if (published) o.support = 0.75, o.bend = -1, o.condition = 50;
    if (folder) {
        char path[512];
        snprintf(path, sizeof path, "%s/x%d.npy", folder, p);
        if (ot_npy_write(path, OT_F64, 2, (int64_t[]){N, p}, x) != OT_OK) return wrong(ot_last_error());
        snprintf(path, sizeof path, "%s/new%d.npy", folder, p);
        if (ot_npy_write(path, OT_F64, 3, (int64_t[]){SORTS, N, p}, x + (size_t)N * (size_t)p) != OT_OK) return wrong(ot_last_error());
    }
    for (int t = 0; t < 2; t++)
        for (int k = 0; k < rounds; k++) {
            double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
            o.threads = t + 1;
            if (ot_screen_fit(&other, x, N, p, &o, &again) != OT_OK) return wrong(ot_last_error());
            screen_s[t] = fmin(screen_s[t], seconds(CLOCK_MONOTONIC) - wall);
            cpu_s = fmin(cpu_s, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
            if (!s.memory) s = other, r = again;
            else {
                if (memcmp(&r, &again, sizeof r) || memcmp(s.factor, other.factor, (size_t)s.q * (size_t)s.q * sizeof *s.factor)) return wrong("threads differ in bits");
                ot_screen_free(&other);
            }
        }
    if (kind == OT_SCREEN_MCD || published) {
        ot__scatter one = {.centre = ot_alloc((size_t)p, sizeof(double)), .factor = ot_alloc((size_t)p * (size_t)p, sizeof(double))};
        for (int k = 0; k < rounds; k++) {
            double start = seconds(CLOCK_THREAD_CPUTIME_ID);
            ot_status st = kind == OT_SCREEN_MCD ? ot__mcd(&one, x, N, p, 0, 1, 0) : ot__mrcd(&one, x, N, p, &(ot__mrcd_options){.support = 0.75, .condition = 50, .starts = OT__MRCD_STARTS});
            fit_s = fmin(fit_s, seconds(CLOCK_THREAD_CPUTIME_ID) - start);
            if (st != OT_OK || one.log_det != r.log_det) return wrong("the fit alone differs from the screen's");
        }
        ot_free(one.centre);
        ot_free(one.factor);
    }
    printf("{\"bench\":\"screen\",\"screen\":\"%s\",\"chips\":%d,\"p\":%d,\"q\":%d,\"n\":%d,", published ? "published mrcd" : ot_screen_name(kind), N, p, s.q, rounds);
    if (isfinite(fit_s)) printf("\"one_fit_cpu_s\":%.3g,", fit_s);
    printf("\"screen_s_1_thread\":%.3g,\"screen_s_2_threads\":%.3g,\"screen_cpu_s\":%.3g,\"log_det\":%.8g,\"rho\":%.4g,\"bend\":%g,\"condition\":%g,\"threshold_in_sample\":%.4g,\"threshold\":%.4g", screen_s[0],
           screen_s[1], cpu_s, r.log_det, r.rho, r.bend, r.condition, r.threshold_in_sample, r.threshold);
    double *work = ot_alloc((size_t)(p + s.q), sizeof *work);
    for (int k = 0; k < SORTS; k++) {
        int found = 0, in_sample = 0;
        for (int i = 0; i < N; i++) {
            double d = ot_screen_distance(&s, x + ((size_t)(k + 1) * N + (size_t)i) * (size_t)p, work);
            found += ot_screen_outlier(&s, d);
            in_sample += d > r.threshold_in_sample;
        }
        printf(",\"%s_flagged\":\"%.1f %%\"", sorts[k], 100.0 * found / N);
        if (!k) printf(",\"good_flagged_in_sample\":\"%.1f %%\"", 100.0 * in_sample / N);
    }
    printf(",\"commit\":\"%s\",\"compiler\":\"%s\"}\n", ot__build_commit(), ot__build_compiler());
    fflush(stdout);
    ot_free(work);
    ot_screen_free(&s);
    ot_free(x);
    return 0;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : NULL;
    static const struct { ot_screen_kind kind; int published, p, rounds; } rows_of[] = {
        {OT_SCREEN_MCD, 0, 20, 3}, {OT_SCREEN_PCA_MCD, 0, 370, 3}, {OT_SCREEN_MRCD, 1, 370, 3}, {OT_SCREEN_MRCD, 0, 370, 1},
        {OT_SCREEN_MCD, 0, 100, 1}, {OT_SCREEN_PCA_MCD, 0, 1170, 1}, {OT_SCREEN_MRCD, 1, 1170, 1}, {OT_SCREEN_MRCD, 0, 1170, 1}};
    for (int i = 0; i < 8; i++)
        if (row(rows_of[i].kind, rows_of[i].published, rows_of[i].p, folder, rows_of[i].rounds)) return 1;
    return 0;
}
