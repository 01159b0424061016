/* cuda.c - the cuda backend's table: the device, its memory, tensors in and out. */
#ifdef OT_HAVE_CUDA

#include "backend/cuda.h"

#include <stdio.h>
#include <string.h>

/* What users can do, by error. */
static const char *hint(int error)
{
    int driver = 1;
    switch (error) {
    case cudaErrorMemoryAllocation: return "; fewer chips in flight (--memory) or a smaller tile take less";
    case cudaErrorInsufficientDriver:
        if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) return "; this machine has no NVIDIA driver";
        return "; the driver is older than this build's CUDA: update it, or build with an older toolkit";
    case cudaErrorNoDevice: return "; `ohmtrim doctor` says what the machine has";
    case cudaErrorNoKernelImageForDevice: return "; this build has no code for this GPU: build with GPU_ARCH set to it";
    case cudaErrorLaunchFailure: case cudaErrorIllegalAddress: return "; the device must be opened anew: run again, results so far are kept";
    case cudaErrorSystemDriverMismatch: return "; the driver's kernel module and library differ: reboot";
    default: return "";
    }
}

ot_status ot__cuda_fail(int error, const char *call, const char *file, int line)
{
    char name[48];
    const char *end = strchr(call, '(');
    snprintf(name, sizeof name, "%.*s", end ? (int)(end - call) : 40, call);
    (void)cudaGetLastError();                              /* so that the next call is not blamed */
    return ot__fail(error == cudaErrorMemoryAllocation ? OT_E_MEMORY_PLAN : OT_E_CUDA, file, line, "CUDA: %s: %s (%s)%s", name,
                    cudaGetErrorString((cudaError_t)error), cudaGetErrorName((cudaError_t)error), hint(error));
}

int64_t ot__cuda_stride(const ot__cuda *c, ot_shape s, int tile)
{
    size_t bytes = (size_t)otk_image(ot__cuda_shape(s)) * (size_t)tile * ot__cuda_size(c);
    return (int64_t)((bytes + 63) / 64 * 64 / ot__cuda_size(c));
}

ot_status ot__cuda_grow(void **p, size_t *have, size_t want)
{
    if (want <= *have) return OT_OK;
    if (*p) OT_CUDA(cudaFree(*p));
    *p = NULL;
    *have = 0;
    OT_CUDA(cudaMalloc(p, want));
    *have = want;
    return OT_OK;
}

static void close_context(void *ctx)
{
    ot__cuda *c = ctx;
    if (!c) return;
    (void)cudaFree(c->stage);
    (void)cudaFree(c->small);
    ot__cuda_lib_close(c->lib);
    ot__cuda_choices_free(&c->choices);
    if (c->stream) (void)cudaStreamDestroy(c->stream);
    ot_free(c);
}

static ot_status open_device(ot__cuda *c)
{
    int n = 0;
    struct cudaDeviceProp p;
    OT_CUDA(cudaGetDeviceCount(&n));
    if (n < 1) return ot__cuda_fail(cudaErrorNoDevice, "cudaGetDeviceCount", __FILE__, __LINE__);
    OT_CUDA(cudaSetDevice(0));
    OT_CUDA(cudaGetDeviceProperties(&p, 0));
    snprintf(c->name, sizeof c->name, "%.100s", p.name);
    c->major = p.major, c->minor = p.minor;
    if (p.major < 7)
        OT_FAIL(OT_E_BACKEND, "GPU '%s' has compute capability %d.%d, want 7.0 or newer (V100 and later)", c->name, p.major, p.minor);
    if (c->math == OTK_TF32 && p.major < 8)
        OT_FAIL(OT_E_BACKEND, "GPU '%s' has compute capability %d.%d, 'cuda:tf32' wants 8.0 or newer; 'cuda' and 'cuda:fp16' work", c->name, p.major, p.minor);
    OT_CUDA(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
    return OT_OK;
}

/* "fp16+libs=0:own,cudnn": how products are summed; whether libraries may be used; who does what. */
static ot_status open_libs(ot__cuda *c, const char *flavour)
{
    const char *libs = strchr(flavour, '+');
    if (!libs) return OT_OK;
    if (libs[5]) OT_TRY(ot__cuda_choices_read(&c->choices, libs + 6));
    return ot__cuda_lib_open(&c->lib, c->math, c->stream);
}

static ot_status open_context(void **ctx, const char *flavour)
{
    otk_math     math = OTK_FP32;
    const size_t n = strcspn(flavour, "+");
    if (n == 4 && !strncmp(flavour, "tf32", n)) math = OTK_TF32;
    else if (n == 4 && !strncmp(flavour, "fp16", n)) math = OTK_FP16;
    else if (n && (n != 4 || strncmp(flavour, "fp32", n))) OT_FAIL(OT_E_BACKEND, "backend 'cuda:%s', want cuda, cuda:tf32 or cuda:fp16", flavour);
    if (flavour[n] && (strncmp(flavour + n, "+libs", 5) || (flavour[n + 5] && flavour[n + 5] != '=')))
        OT_FAIL(OT_E_BACKEND, "backend 'cuda:%s', want nothing, +libs or +libs=CHOICES from the + on", flavour);
    ot__cuda *c = ot_alloc(1, sizeof *c);
    if (!c) OT_NOMEM("cuda backend", sizeof *c);
    c->math = math;
    c->type = math == OTK_FP16 ? OTK_F16 : OTK_F32;
    ot_status st = open_device(c);
    if (st == OT_OK) st = open_libs(c, flavour);
    if (st != OT_OK) {
        close_context(c);
        return st;
    }
    *ctx = c;
    return OT_OK;
}

static void detail(void *ctx, char *text, size_t n)
{
    static const char *const maths[] = {[OTK_FP32] = "fp32", [OTK_TF32] = "tf32", [OTK_FP16] = "fp16"};
    ot__cuda *c = ctx;
    int       runtime = 0;
    char      libs[64] = "";
    (void)cudaRuntimeGetVersion(&runtime);
    if (c->lib) ot__cuda_lib_detail(c->lib, libs, sizeof libs);
    snprintf(text, n, "%s sm_%d%d, CUDA %d.%d, %s, own kernels%s%s", c->name, c->major, c->minor, runtime / 1000, runtime % 1000 / 10, maths[c->math],
             c->lib ? " and " : "", libs);
}

static size_t tensor_bytes(void *ctx, ot_shape s, int n) { return (size_t)otk_image(ot__cuda_shape(s)) * (size_t)n * ot__cuda_size(ctx); }

static ot_status take(void *ctx, void **mem, size_t bytes)
{
    (void)ctx;
    *mem = NULL;
    OT_CUDA(cudaMalloc(mem, bytes ? bytes : 1));
    return OT_OK;
}

static void give(void *ctx, void *mem)
{
    (void)ctx;
    (void)cudaFree(mem);
}

static ot_status put(void *ctx, void *dst, ot_shape s, int n, const float *nchw)
{
    ot__cuda *c = ctx;
    size_t    bytes = (size_t)s.c * (size_t)s.h * (size_t)s.w * (size_t)n * sizeof(float);
    OT_TRY(ot__cuda_grow(&c->stage, &c->stage_bytes, bytes));
    OT_CUDA(cudaMemcpyAsync(c->stage, nchw, bytes, cudaMemcpyHostToDevice, c->stream));
    OT_CUDA(otk_import(c->type, ot__cuda_shape(s), n, c->stage, dst, 1.0f, c->stream));
    OT_CUDA(cudaStreamSynchronize(c->stream));
    return OT_OK;
}

static ot_status get(void *ctx, float *nchw, ot_shape s, int n, const void *src)
{
    ot__cuda  *c = ctx;
    size_t     bytes = (size_t)s.c * (size_t)s.h * (size_t)s.w * (size_t)n * sizeof(float);
    otk_tensor t = {(void *)src, 0};
    OT_TRY(ot__cuda_grow(&c->stage, &c->stage_bytes, bytes));
    OT_CUDA(otk_export(c->type, ot__cuda_shape(s), 1, n, t, c->stage, 1.0f, c->stream));
    OT_CUDA(cudaMemcpyAsync(nchw, c->stage, bytes, cudaMemcpyDeviceToHost, c->stream));
    OT_CUDA(cudaStreamSynchronize(c->stream));
    return OT_OK;
}

static ot_status moments(void *ctx, const void *src, ot_shape s, int n, double *mean, double *sd)
{
    ot__cuda  *c = ctx;
    otk_tensor t = {(void *)src, 0};
    double     out[2];
    size_t     partial = otk_moments_bytes(ot__cuda_shape(s), 1);
    OT_TRY(ot__cuda_grow(&c->small, &c->small_bytes, partial + sizeof out));
    double *d_out = (double *)((char *)c->small + partial);
    OT_CUDA(otk_moments(c->type, ot__cuda_shape(s), 1, n, t, d_out, 1.0f, c->small, c->stream));
    OT_CUDA(cudaMemcpyAsync(out, d_out, sizeof out, cudaMemcpyDeviceToHost, c->stream));
    OT_CUDA(cudaStreamSynchronize(c->stream));
    *mean = out[0];
    *sd = out[1];
    return OT_OK;
}

static float gradient_scale(void *ctx) { return ((ot__cuda *)ctx)->type == OTK_F16 ? OT_CUDA_GRADIENT : 1.0f; }

static ot_status choices(void *ctx, char *text, size_t n)
{
    ot__cuda *c = ctx;
    if (c->lib) return ot__cuda_choices_write(&c->choices, text, n);
    *text = 0;
    return OT_OK;
}

const ot_backend_i ot__backend_cuda = {
    .name = "cuda",
    .open = open_context,
    .close = close_context,
    .detail = detail,
    .tensor_bytes = tensor_bytes,
    .alloc = take,
    .free = give,
    .put = put,
    .get = get,
    .step_open = ot__cuda_step_open,
    .step_close = ot__cuda_step_close,
    .step_algorithm = ot__cuda_step_algorithm,
    .step_load = ot__cuda_step_load,
    .forward = ot__cuda_forward,
    .backward = ot__cuda_backward,
    .batch_statistics = ot__cuda_batch_statistics,
    .moments = moments,
    .gradient_scale = gradient_scale,
    .choices = choices,
    .many = &ot__cuda_many,
    .resident = &ot__cuda_resident,
};

#else
typedef int ot__cuda_is_not_in_this_build;      /* an empty file is not C */
#endif
