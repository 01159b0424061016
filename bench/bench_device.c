/* bench_device.c - time of one programming pulse (each first checked against its golden gap) and of one fit. */
#include "base/build.h"
#include "base/progress.h"
#include "ohmtrim.h"
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PULSES = 46, ROUNDS = 15 };

static void print_row(const char *what, double *seconds, int n, const char *check)
{
    qsort(seconds, (size_t)n, sizeof *seconds, by_value);
    printf("{\"bench\":\"device\",\"what\":\"%s\",\"n\":%d,\"median_ms\":%.4g,\"p10_ms\":%.4g,\"p90_ms\":%.4g,\"min_ms\":%.4g,"
           "\"check\":\"%s\",\"commit\":\"%s\",\"compiler\":\"%s\"}\n",
           what, n, 1e3 * seconds[n / 2], 1e3 * seconds[n / 10], 1e3 * seconds[n * 9 / 10], 1e3 * seconds[0], check,
           ot__build_commit(), ot__build_compiler());
}

static int bench_pulses(void)
{
    ot_array pulse = {0}, gap = {0};
    if (ot_npy_read(&pulse, "tests/golden/device/pulse.npy") != OT_OK ||
        ot_npy_read(&gap, "tests/golden/device/gap.npy") != OT_OK || ot_array_count(&gap) != PULSES) {
        fprintf(stderr, "bench_device: %s (run it in the source folder)\n", ot_last_error());
        return 1;
    }
    static double seconds[PULSES * ROUNDS];
    double worst = 0;
    int steps = 0;
    for (int round = -1; round < ROUNDS; round++) /* round -1 warms up and checks */
        for (int i = 0; i < PULSES; i++) {
            const double *q = (double *)pulse.data + 9 * i;
            ot_pulse p = {q[0], q[1], q[2], (ot_series)q[5], q[6], q[7], q[8]};
            ot_pulse_result r;
            double start = ot__seconds();
            if (ot_pulse_run(&r, &p, q[3], q[4], 0) != OT_OK) {
                fprintf(stderr, "bench_device: %s\n", ot_last_error());
                return 1;
            }
            double took = ot__seconds() - start;
            if (round >= 0)
                seconds[PULSES * round + i] = took;
            else
                steps += r.steps, worst = fmax(worst, fabs(r.gap - ((double *)gap.data)[i]));
        }
    ot_array_free(&pulse);
    ot_array_free(&gap);
    if (!(worst <= 1e-6)) {
        fprintf(stderr, "bench_device: a gap is off by %g nm, want 1e-6\n", worst);
        return 1;
    }
    char check[96];
    snprintf(check, sizeof check, "46 golden pulses within %.1e nm, %d steps each on average", worst, steps / PULSES);
    print_row("pulse", seconds, PULSES * ROUNDS, check);
    return 0;
}

static int bench_fit(const char *preset)
{
    double seconds[5];
    ot_programming p;
    ot_device d = {0};
    ot_fit fit = {0};
    if (ot_programming_preset(&p, preset) != OT_OK) return 1;
    for (int i = -1; i < 5; i++) {
        double start = ot__seconds();
        if (ot_device_fit(&d, &fit, &p) != OT_OK) {
            fprintf(stderr, "bench_device: %s\n", ot_last_error());
            return 1;
        }
        if (i >= 0) seconds[i] = ot__seconds() - start;
    }
    char check[96], what[32];
    snprintf(what, sizeof what, "fit %s", preset);
    snprintf(check, sizeof check, "%d pulses, errors %.3g and %.3g", fit.pulses, fit.rel_error[0], fit.rel_error[1]);
    print_row(what, seconds, 5, check);
    return 0;
}

int main(void) { return bench_pulses() || bench_fit("r1") || bench_fit("r2") || bench_fit("r3"); }
