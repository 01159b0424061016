/* fuzz_idx.c - mnist's files: any bytes as images and labels (the first byte says where to cut) give sound data or a failure. */
#include "network/data.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ot_data *d = NULL;
    if (size < 1) return 0;
    size_t labels = data[0] < size - 1 ? data[0] : size - 1, images = size - 1 - labels;
    if (ot__data_idx(&d, "fuzz", 10, data + 1, images, "images", data + 1 + images, labels, "labels", 0) != OT_OK) return 0;
    for (int i = 0; i < d->n; i++)
        if (d->labels[i] < 0 || d->labels[i] >= d->classes) abort();
    volatile uint8_t last = d->pixels[(size_t)d->n * (size_t)d->h * (size_t)d->w - 1];
    (void)last;
    ot_data_free(d);
    return 0;
}
