/* gpu_train.h - weight training on a backend: how far its gradients are from the cpu backend's, and the seconds of an epoch. */
#ifndef OT_BENCH_GPU_TRAIN_H
#define OT_BENCH_GPU_TRAIN_H

#include "ohmtrim.h"

/* Largest difference of a parameter's gradient on the first n images, as a share of the largest gradient. */
ot_status gpu_train_error(double *error, ot_backend *be, const ot_network *net, const ot_data *data, int n);
/* Seconds of each of `rounds` epochs of SGD with crops and flips, minibatches of `minibatch` in one part; one more goes before them. */
ot_status gpu_train_times(double *seconds, int rounds, const char *backend, const ot_network *net, const ot_data *data, int minibatch);

#endif
