/* cuda_gpus.c - what GPUs the machine has, for people who ask (doctor). */
#ifdef OT_HAVE_CUDA

#include "backend/cuda.h"

#include <stdio.h>

ot_status ot_gpus(ot_gpu *out, int most, int *n)
{
    int driver = 0, runtime = 0;
    *n = 0;
    (void)cudaRuntimeGetVersion(&runtime);
    (void)cudaDriverGetVersion(&driver);
    if (!driver) OT_FAIL(OT_E_CUDA, "no NVIDIA driver on this machine (this build's CUDA is %d.%d)", runtime / 1000, runtime % 1000 / 10);
    OT_CUDA(cudaGetDeviceCount(n));
    for (int i = 0; i < *n && i < most; i++) {
        struct cudaDeviceProp p;
        OT_CUDA(cudaGetDeviceProperties(&p, i));
        out[i] = (ot_gpu){.major = p.major, .minor = p.minor, .bytes = p.totalGlobalMem, .driver = driver, .runtime = runtime};
        snprintf(out[i].name, sizeof out[i].name, "%.100s", p.name);
    }
    return OT_OK;
}

#else

#include "base/fail.h"
#include "ohmtrim/plan.h"

ot_status ot_gpus(ot_gpu *out, int most, int *n)
{
    (void)out, (void)most;
    *n = 0;
    OT_FAIL(OT_E_BACKEND, "this build has no CUDA: nvcc was not there when it was made (`make config` says what was found)");
}

#endif
