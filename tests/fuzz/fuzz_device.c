/* fuzz_device.c - device files, JSON and CSV: any bytes give a sound device or a failure, never a crash. */
#include "ohmtrim/device.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ot_device d;
    if (ot_device_parse(&d, (const char *)data, size, "fuzz") != OT_OK) return 0;
    if (ot_device_check(&d) != OT_OK) abort();
    for (int s = 0; s < 2; s++)
        for (int i = -6; i <= 6; i++) {
            double g = ot_device_conductance(&d, (ot_state)s, 0.1 * i);
            if (!(g >= d.g_min && g <= d.g_max)) abort();
        }
    return 0;
}
