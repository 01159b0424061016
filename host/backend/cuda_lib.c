/* cuda_lib.c - cuBLAS and cuDNN: found at run time, called with our tensors, refusals turned into sentences. */
#ifdef OT_HAVE_CUDA

#include "backend/cuda.h"
#include "backend/cuda_api.h"
#include "backend/cuda_lib.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OT_SIMT
#include "control.h"
static void       *open_file(const char *path) { return simt_library(path); }
static void       *find_call(void *so, const char *name) { return simt_symbol(so, name); }
static const char *why_not(void) { return "not in this program"; }
#else
/* Libraries stay loaded once they are: these do not take being unloaded well. */
static void *open_file(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL); }
static void *find_call(void *so, const char *name) { return dlsym(so, name); }
static const char *why_not(void)
{
    const char *e = dlerror();
    return e ? e : "no reason given";
}
#endif

#define MEMBER(GIVES, NAME, ARGUMENTS) GIVES (*NAME) ARGUMENTS;
typedef struct calls { OT_CUBLAS_CALLS(MEMBER) OT_CUDNN_CALLS(MEMBER) } calls;
#define PLACE(GIVES, NAME, ARGUMENTS) {#NAME, offsetof(calls, NAME)},
typedef struct place { const char *name; size_t at; } place;
static const place blas_calls[] = {OT_CUBLAS_CALLS(PLACE)}, dnn_calls[] = {OT_CUDNN_CALLS(PLACE)};

struct ot__cuda_lib {
    otk_math       math;
    cudaStream_t   stream;
    calls          f;
    cublasHandle_t blas;
    cudnnHandle_t  dnn;
    cudnnTensorDescriptor_t      in, out;
    cudnnFilterDescriptor_t      weight;
    cudnnConvolutionDescriptor_t conv;
    void          *workspace;              /* cuBLAS's own: what it takes itself cannot be taken while a graph is captured */
    int            blas_version;
};

#ifdef OT_SIMT
enum { BLAS_WORKSPACE = 4 << 10 };         /* filled whenever a test opens a backend */
#else
enum { BLAS_WORKSPACE = 32 << 20 };        /* what NVIDIA advises for Hopper; older ones want 4 MiB */
#endif

static ot_status blas_failed(const ot__cuda_lib *lib, cublasStatus_t s, const char *call)
{
    ot_status st = s == OT_BLAS_NO_MEMORY ? OT_E_MEMORY_PLAN : s == OT_BLAS_NOT_SUPPORTED ? OT_E_UNSUPPORTED : OT_E_LIBRARY;
    (void)cudaGetLastError();
    OT_FAIL(st, "cuBLAS: %s: %s (%d)", call, lib->f.cublasGetStatusString(s), (int)s);
}

/* Numbers of statuses differ between versions of cuDNN, names do not. */
static ot_status dnn_failed(const ot__cuda_lib *lib, cudnnStatus_t s, const char *call)
{
    const char *text = lib->f.cudnnGetErrorString(s);
    ot_status   st = strstr(text, "NOT_SUPPORTED") ? OT_E_UNSUPPORTED : strstr(text, "ALLOC") ? OT_E_MEMORY_PLAN : OT_E_LIBRARY;
    (void)cudaGetLastError();
    OT_FAIL(st, "cuDNN: %s: %s (%d)", call, text, (int)s);
}

#define BLAS(NAME, ...)                                                   \
    do {                                                                  \
        cublasStatus_t s_ = lib->f.NAME(__VA_ARGS__);                     \
        if (s_ != OT_BLAS_OK) return blas_failed(lib, s_, #NAME);         \
    } while (0)
#define DNN(NAME, ...)                                                    \
    do {                                                                  \
        cudnnStatus_t s_ = lib->f.NAME(__VA_ARGS__);                      \
        if (s_ != OT_DNN_OK) return dnn_failed(lib, s_, #NAME);           \
    } while (0)

static ot_status load(ot__cuda_lib *lib, const char *library, const char *const *names, const place *wanted, size_t n)
{
    const char *folder = getenv("OHMTRIM_CUDA_LIBS");
    char        path[1024], why[256] = "", tried[128] = "";
    void       *so = NULL;
    for (int k = 0; names[k] && !so && folder && *folder; k++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        so = open_file(path);
    }
    for (int k = 0; names[k] && !so; k++) {
        so = open_file(names[k]);
        if (so) break;
        snprintf(why, sizeof why, "%s", why_not());
        snprintf(tried + strlen(tried), sizeof tried - strlen(tried), "%s%s", k ? ", " : "", names[k]);
    }
    if (!so)
        OT_FAIL(OT_E_BACKEND, "%s: none of %s can be loaded (%s): install it, set OHMTRIM_CUDA_LIBS to its folder, or leave out '+libs'", library, tried, why);
    for (size_t k = 0; k < n; k++) {
        void *call = find_call(so, wanted[k].name);
        if (!call) OT_FAIL(OT_E_BACKEND, "%s: there is no %s in it: want cuBLAS 11.4 and cuDNN 8.0 or newer, or leave out '+libs'", library, wanted[k].name);
        *(void **)((char *)&lib->f + wanted[k].at) = call;
    }
    return OT_OK;
}

static ot_status start(ot__cuda_lib *lib)
{
    static const char *const blas[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", NULL}, *const dnn[] = {"libcudnn.so.9", "libcudnn.so.8", NULL};
    OT_TRY(load(lib, "cuBLAS", blas, blas_calls, sizeof blas_calls / sizeof *blas_calls));
    OT_TRY(load(lib, "cuDNN", dnn, dnn_calls, sizeof dnn_calls / sizeof *dnn_calls));
    OT_CUDA(cudaMalloc(&lib->workspace, BLAS_WORKSPACE));
    BLAS(cublasCreate_v2, &lib->blas);
    BLAS(cublasGetVersion_v2, lib->blas, &lib->blas_version);
    BLAS(cublasSetStream_v2, lib->blas, lib->stream);
    BLAS(cublasSetWorkspace_v2, lib->blas, lib->workspace, BLAS_WORKSPACE);     /* after the stream, which forgets it */
    DNN(cudnnCreate, &lib->dnn);
    DNN(cudnnSetStream, lib->dnn, lib->stream);
    DNN(cudnnCreateTensorDescriptor, &lib->in);
    DNN(cudnnCreateTensorDescriptor, &lib->out);
    DNN(cudnnCreateFilterDescriptor, &lib->weight);
    DNN(cudnnCreateConvolutionDescriptor, &lib->conv);
    return OT_OK;
}

ot_status ot__cuda_lib_open(ot__cuda_lib **out, otk_math math, otk_stream stream)
{
    ot__cuda_lib *lib = ot_alloc(1, sizeof *lib);
    if (!lib) OT_NOMEM("cuBLAS and cuDNN", sizeof *lib);
    lib->math = math;
    lib->stream = stream;
    ot_status st = start(lib);
    if (st != OT_OK) ot__cuda_lib_close(lib);
    else *out = lib;
    return st;
}

void ot__cuda_lib_close(ot__cuda_lib *lib)
{
    if (!lib) return;
    if (lib->conv) (void)lib->f.cudnnDestroyConvolutionDescriptor(lib->conv);
    if (lib->weight) (void)lib->f.cudnnDestroyFilterDescriptor(lib->weight);
    if (lib->out) (void)lib->f.cudnnDestroyTensorDescriptor(lib->out);
    if (lib->in) (void)lib->f.cudnnDestroyTensorDescriptor(lib->in);
    if (lib->dnn) (void)lib->f.cudnnDestroy(lib->dnn);
    if (lib->blas) (void)lib->f.cublasDestroy_v2(lib->blas);
    (void)cudaFree(lib->workspace);
    ot_free(lib);
}

void ot__cuda_lib_detail(const ot__cuda_lib *lib, char *text, size_t n)
{
    const size_t b = (size_t)lib->blas_version, d = lib->f.cudnnGetVersion(), major = d >= 90000 ? 10000 : 1000;      /* 9.1.2 is 90102, 8.9.7 is 8907 */
    snprintf(text, n, "cuBLAS %zu.%zu.%zu, cuDNN %zu.%zu.%zu", b / 10000, b / 100 % 100, b % 100, d / major, d % major / 100, d % 100);
}

/* --- who can do what --- */

static int is_product(const otk_conv *c)
{
    return c->groups == 1 && c->kh == 1 && c->kw == 1 && c->sh == 1 && c->sw == 1 && !c->pt && !c->pl && c->in.h == c->out.h && c->in.w == c->out.w;
}

/* Groups lie side by side without padding, in tensors and weights; padding is the same on both sides. */
static int dnn_can(const otk_conv *c)
{
    if (otk_conv_depthwise(c)) return 0;
    if (c->groups > 1 && (c->in.c / c->groups % 8 || c->out.c / c->groups % 8)) return 0;
    return (c->in.h + 2 * c->pt - c->kh) / c->sh + 1 == c->out.h && (c->in.w + 2 * c->pl - c->kw) / c->sw + 1 == c->out.w;
}

int ot__cuda_lib_can(ot__cuda_way way, ot__cuda_pass pass, const otk_conv *c)
{
    switch (way) {
    case OT_WAY_CUBLAS: return pass != OT_PASS_GRADIENT && is_product(c);
    case OT_WAY_CUDNN: return dnn_can(c);
    default: return 1;
    }
}

ot__cuda_way ot__cuda_lib_resolve(ot__cuda_way way, ot__cuda_pass pass, const otk_conv *c)
{
    if (way != OT_WAY_LIBS) return way;
    if (ot__cuda_lib_can(OT_WAY_CUBLAS, pass, c)) return OT_WAY_CUBLAS;
    return ot__cuda_lib_can(OT_WAY_CUDNN, pass, c) ? OT_WAY_CUDNN : OT_WAY_OWN;
}

/* --- cuBLAS --- */

/* Row-major tensors are the transposes of column-major ones: dst^T (out, rows) = weight^T (out, in) src^T (in, rows), and back
 * dsrc^T (in, rows) = weight (in, out) g^T (out, rows); the weights lie as (out, in) column-major. */
static ot_status product(ot__cuda_lib *lib, int back, const otk_conv *c, int chips, int n, otk_tensor from, otk_tensor weight, otk_tensor to, float alpha, float beta)
{
    const int     in = otk_channels(c->in.c), out = otk_channels(c->out.c), type = lib->math == OTK_FP16 ? OT_BLAS_F16 : OT_BLAS_F32;
    const int     sum = lib->math == OTK_FP16 ? OT_BLAS_SUM_F32 : lib->math == OTK_TF32 ? OT_BLAS_SUM_TF32 : OT_BLAS_SUM_PEDANTIC;
    const int64_t rows = (int64_t)n * c->in.h * c->in.w;
    if (rows > INT_MAX) OT_FAIL(OT_E_UNSUPPORTED, "cuBLAS: %lld pixels in a tile, want at most %d", (long long)rows, INT_MAX);
    if (rows <= 0 || chips <= 0) return OT_OK;
    /* One chip a call: the library picks its algorithm by the sizes it sees, and a chip's bits must not depend on how many chips there are. */
    const int64_t bytes = lib->math == OTK_FP16 ? 2 : 4;
    for (int k = 0; k < chips; k++) {
        const char *w = (const char *)weight.at + k * weight.stride * bytes, *x = (const char *)from.at + k * from.stride * bytes;
        char       *y = (char *)to.at + k * to.stride * bytes;
        BLAS(cublasGemmStridedBatchedEx, lib->blas, back ? OT_BLAS_T : OT_BLAS_N, OT_BLAS_N, back ? in : out, (int)rows, back ? out : in, &alpha, w, type, out, 0, x,
             type, back ? out : in, 0, &beta, y, type, back ? in : out, 0, 1, sum, OT_BLAS_ANY_ALGORITHM);
    }
    return OT_OK;
}

/* --- cuDNN --- */

static ot_status describe(ot__cuda_lib *lib, const otk_conv *c, int n)
{
    const int type = lib->math == OTK_FP16 ? OT_DNN_F16 : OT_DNN_F32, in = otk_channels(c->in.c), out = otk_channels(c->out.c);
    if (!dnn_can(c)) OT_FAIL(OT_E_UNSUPPORTED, "cuDNN: depthwise, groups of %d channels or uneven padding are not asked of it", c->in.c / c->groups);
    DNN(cudnnSetTensor4dDescriptor, lib->in, OT_DNN_NHWC, type, n, in, c->in.h, c->in.w);
    DNN(cudnnSetTensor4dDescriptor, lib->out, OT_DNN_NHWC, type, n, out, c->out.h, c->out.w);
    DNN(cudnnSetFilter4dDescriptor, lib->weight, type, OT_DNN_NHWC, out, in / c->groups, c->kh, c->kw);
    DNN(cudnnSetConvolution2dDescriptor, lib->conv, c->pt, c->pl, c->sh, c->sw, 1, 1, OT_DNN_CORRELATION, OT_DNN_F32);
    DNN(cudnnSetConvolutionGroupCount, lib->conv, c->groups);
    DNN(cudnnSetConvolutionMathType, lib->conv, lib->math == OTK_FP32 ? OT_DNN_PLAIN_MATH : OT_DNN_TENSOR_MATH);
    return OT_OK;
}

/* A chip's weights as cuDNN wants them lie at the head of the workspace. */
static size_t turned_bytes(const ot__cuda_lib *lib, const otk_conv *c)
{
    return ((size_t)otk_conv_weights(c) * (lib->math == OTK_FP16 ? 2 : 4) + 255) / 256 * 256;
}

ot_status ot__cuda_lib_workspace_bytes(ot__cuda_lib *lib, ot__cuda_way way, ot__cuda_pass pass, const otk_conv *c, int n, size_t *bytes)
{
    size_t own = 0;
    *bytes = 0;
    if (way != OT_WAY_CUDNN) return OT_OK;
    OT_TRY(describe(lib, c, n));
    switch (pass) {
    case OT_PASS_FORWARD: DNN(cudnnGetConvolutionForwardWorkspaceSize, lib->dnn, lib->in, lib->weight, lib->conv, lib->out, OT_DNN_FORWARD, &own); break;
    case OT_PASS_DATA: DNN(cudnnGetConvolutionBackwardDataWorkspaceSize, lib->dnn, lib->weight, lib->out, lib->conv, lib->in, OT_DNN_DATA, &own); break;
    default: DNN(cudnnGetConvolutionBackwardFilterWorkspaceSize, lib->dnn, lib->in, lib->out, lib->conv, lib->weight, OT_DNN_FILTER, &own);
    }
    *bytes = turned_bytes(lib, c) + own;
    return OT_OK;
}

static ot_status room(const ot__cuda_lib *lib, const otk_conv *c, size_t bytes, size_t *own)
{
    const size_t turned = turned_bytes(lib, c);
    if (bytes < turned) OT_FAIL(OT_E_BUG, "cuDNN: a workspace of %zu bytes, want ot__cuda_lib_workspace_bytes, at least %zu", bytes, turned);
    *own = bytes - turned;
    return OT_OK;
}

static ot_status convolve(ot__cuda_lib *lib, int back, const otk_conv *c, int chips, int n, otk_tensor from, otk_tensor weight, otk_tensor to, float alpha, float beta,
                          void *workspace, size_t bytes)
{
    const otk_type type = lib->math == OTK_FP16 ? OTK_F16 : OTK_F32;
    const int64_t  size = type == OTK_F16 ? 2 : 4;
    char          *turned = workspace, *own_at = turned + turned_bytes(lib, c);
    size_t         own = 0;
    OT_TRY(room(lib, c, bytes, &own));
    if (n <= 0) return OT_OK;
    OT_TRY(describe(lib, c, n));
    for (int k = 0; k < chips; k++) {
        const char *x = (const char *)from.at + k * from.stride * size, *w = (const char *)weight.at + k * weight.stride * size;
        char       *y = (char *)to.at + k * to.stride * size;
        OT_CUDA(otk_conv_krsc(c, type, w, turned, lib->stream));
        if (back) DNN(cudnnConvolutionBackwardData, lib->dnn, &alpha, lib->weight, turned, lib->out, x, lib->conv, OT_DNN_DATA, own_at, own, &beta, lib->in, y);
        else DNN(cudnnConvolutionForward, lib->dnn, &alpha, lib->in, x, lib->weight, turned, lib->conv, OT_DNN_FORWARD, own_at, own, &beta, lib->out, y);
    }
    return OT_OK;
}

/* --- passes --- */

static int does_nothing(const otk_after *a)
{
    return !a->bias && !a->scale && !a->res.at && !a->knobs.there && a->in_factor * a->out_factor == 1.0f;
}

ot_status ot__cuda_lib_forward(ot__cuda_lib *lib, ot__cuda_way way, const otk_conv *c, int chips, int n, otk_tensor src, otk_tensor weight, otk_tensor dst,
                               const otk_after *after, void *workspace, size_t bytes)
{
    if (way == OT_WAY_CUBLAS) OT_TRY(product(lib, 0, c, chips, n, src, weight, dst, 1.0f, 0.0f));
    else OT_TRY(convolve(lib, 0, c, chips, n, src, weight, dst, 1.0f, 0.0f, workspace, bytes));
    if (!does_nothing(after)) OT_CUDA(otk_pointwise(lib->math == OTK_FP16 ? OTK_F16 : OTK_F32, c->out, chips, n, dst, dst, after, lib->stream));
    return OT_OK;
}

ot_status ot__cuda_lib_data(ot__cuda_lib *lib, ot__cuda_way way, const otk_conv *c, int chips, int n, otk_tensor g, otk_tensor weight, otk_tensor dsrc, float factor,
                            int add, void *workspace, size_t bytes)
{
    if (way == OT_WAY_CUBLAS) return product(lib, 1, c, chips, n, g, weight, dsrc, factor, add ? 1.0f : 0.0f);
    return convolve(lib, 1, c, chips, n, g, weight, dsrc, factor, add ? 1.0f : 0.0f, workspace, bytes);
}

ot_status ot__cuda_lib_gradient(ot__cuda_lib *lib, const otk_conv *c, int n, const float *src, const float *g, float *dweight, void *workspace, size_t bytes)
{
    const float one = 1.0f, zero = 0.0f;
    char       *turned = workspace, *own_at = turned + turned_bytes(lib, c);
    size_t      own = 0;
    OT_TRY(room(lib, c, bytes, &own));
    if (lib->math == OTK_FP16) OT_FAIL(OT_E_UNSUPPORTED, "gradients of weights in half precision are not supported");
    if (n <= 0) return OT_OK;
    OT_TRY(describe(lib, c, n));
    DNN(cudnnConvolutionBackwardFilter, lib->dnn, &one, lib->in, src, lib->out, g, lib->conv, OT_DNN_FILTER, own_at, own, &zero, lib->weight, turned);
    OT_CUDA(otk_conv_krsc_to_onnx(c, (const float *)turned, dweight, lib->stream));
    return OT_OK;
}

#else
typedef int ot__cuda_lib_is_not_in_this_build;
#endif
