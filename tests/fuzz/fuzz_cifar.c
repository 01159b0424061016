/* fuzz_cifar.c - CIFAR's binary files: any bytes, one or two label bytes and a limit from the first byte. */
#include "network/data.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    ot_data *d = ot_alloc(1, sizeof *d);
    if (!d || !(d->name = ot_strdup("fuzz"))) abort();
    d->c = 3, d->h = d->w = 32, d->classes = data[0] & 1 ? 10 : 100;
    int bytes = data[0] & 1 ? 1 : 2, limit = data[0] >> 4;
    for (int k = 0; k < 2; k++)                              /* a data set is several files */
        if ((limit == 0 || d->n < limit) && ot__data_cifar(d, data + 1, size - 1, "fuzz", bytes, limit) != OT_OK) break;
    if (limit && d->n > limit) abort();
    for (int i = 0; i < d->n; i++)
        if (d->labels[i] < 0 || d->labels[i] >= d->classes) abort();
    ot_data_free(d);
    return 0;
}
