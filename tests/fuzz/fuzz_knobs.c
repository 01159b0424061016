/* fuzz_knobs.c - knob files, JSON and npz: any bytes give usable knobs or a failure, never a crash. */
#include "tools/cli_knobs.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float gain[2], offset[2];
    if (cli_parse_knobs(gain, offset, 2, data, size, "fuzz") != OT_OK) return 0;
    for (int i = 0; i < 2; i++)
        if (!(gain[i] >= 1.0f / 64 && gain[i] <= FLT_MAX && offset[i] >= -FLT_MAX && offset[i] <= FLT_MAX)) abort();
    return 0;
}
