/* fuzz_npz.c - npz files as arrays and as data sets. */
#include "network/data.h"
#include "ohmtrim/array.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ot_npz *z = NULL;
    ot_data *d = NULL;
    if (ot_npz_parse(&z, data, size, "fuzz") == OT_OK) {
        for (int i = 0; i < ot_npz_count(z); i++) {
            ot_array a = {0};
            if (ot_npz_get(&a, z, ot_npz_name(z, i)) == OT_OK && ot_array_count(&a) < 0) abort();
            ot_array_free(&a);
        }
        ot_npz_close(z);
    }
    for (int s = 0; s < 2; s++)
        if (ot__data_npz(&d, data, size, "fuzz", (ot_split)s, 0) == OT_OK) {
            for (int i = 0; i < d->n; i++)
                if (d->labels[i] < 0 || d->labels[i] >= d->classes) abort();
            ot_data_free(d);
        }
    return 0;
}
