/* device.c - see device.h. */
#include "device.h"
#include "cases.h"

#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

static void *taken[256];
static int   n_taken;

void *device_take(size_t bytes)
{
    void *p = NULL;
    if (n_taken == 256 || cudaMalloc(&p, bytes ? bytes : 1) != cudaSuccess) {
        printf("\ndevice.c: no device memory for %zu bytes\n", bytes);
        abort();
    }
    return taken[n_taken++] = p;
}

void *device_copy(const void *host, size_t bytes)
{
    void *p = device_take(bytes);
    if (bytes) memcpy(p, host, bytes);
    return p;
}

void device_give_all(void)
{
    while (n_taken) (void)cudaFree(taken[--n_taken]);
}

float device_get(otk_type t, const void *at, int64_t i) { return t == OTK_F16 ? case_half_to_float(((const uint16_t *)at)[i]) : ((const float *)at)[i]; }

void device_put(otk_type t, void *at, int64_t i, float v)
{
    if (t == OTK_F16) ((uint16_t *)at)[i] = case_float_to_half(v);
    else ((float *)at)[i] = v;
}
