#include "anomaly.h"
#include "ohmtrim/array.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include "base/progress.h"

int main(int argc, char **argv)
{
    int book = 500, fresh = 500, bad = 200, judged = 40, test = 300, k = 10;
    const char *dump = argc > 1 ? argv[1] : NULL;
    const char *netname = argc > 2 ? argv[2] : "models/mobilenet-s.onnx";
    if (argc > 3) book = fresh = atoi(argv[3]);
    ot_data *data; uint32_t stim[64];
    must(ot_data_open(&data, "fashion-mnist", OT_SPLIT_TEST, 2000));
    ot_data *train;
    must(ot_data_open(&train, "fashion-mnist", OT_SPLIT_TRAIN, 0));
    must(ot_stimulus_random(stim, k, data, 1));
    double t0 = ot__seconds();
    bed *b = bed_open(netname, "r1", 0.048, data, 1);
    fprintf(stderr, "open %.2f\n", ot__seconds() - t0);
    int s = ot_signature_length(bed_network(b), k);
    char path[300];
    float *x = room((size_t)(book + fresh) * s, 4); double *acc = room(book+fresh, 8);
    for (int i = 0; i < book + fresh; i++) { bed_load(b, &anomalies[0], i < book ? i : 100000 + i - book); bed_signature(x + (size_t)i * s, b, stim, k); acc[i] = bed_accuracy(b, test); }
    fprintf(stderr, "good %.2f\n", ot__seconds() - t0);
    snprintf(path, 300, "%s/good.npy", dump); must(ot_npy_write(path, OT_F32, 2, (int64_t[]){book + fresh, s}, x));
    snprintf(path, 300, "%s/acc.npy", dump); must(ot_npy_write(path, OT_F64, 1, (int64_t[]){book + fresh}, acc));
    float *y = room((size_t)bad * s, 4); double *ya = room(bad, 8);
    for (int a = 1; a < n_anomalies; a++) {
        double loss = 0;
        for (int i = 0; i < bad; i++) { bed_load(b, &anomalies[a], 100000 + i); bed_signature(y + (size_t)i * s, b, stim, k); ya[i] = i < judged ? bed_accuracy(b, test) : NAN; if (i < judged) loss += (acc[book + i] - ya[i]) / judged; }
        fprintf(stderr, "%-20s %-20s loss %.4f  %.2f s\n", anomalies[a].name, anomalies[a].strength, loss, ot__seconds() - t0);
        snprintf(path, 300, "%s/bad%02d.npy", dump, a); must(ot_npy_write(path, OT_F32, 2, (int64_t[]){bad, s}, y));
        snprintf(path, 300, "%s/badacc%02d.npy", dump, a); must(ot_npy_write(path, OT_F64, 1, (int64_t[]){bad}, ya));
    }
    return 0;
}
