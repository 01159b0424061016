/* libs.cpp - stand-ins for the calls of cuBLAS and cuDNN that the cuda backend makes: plain loops behind the real signatures
 * (cuda_api.h), with the real rules about layout, leading dimensions, strides, descriptors and workspaces.
 *
 * Work goes where kernels go: through the emulator, so that it can be captured in a graph and made to fail.  Handles and descriptors
 * count as live. */
#include "backend/cuda_api.h"
#include "control.h"
#include "simt.h"

#include <map>
#include <string>
#include <vector>

struct ot__blas_handle { cudaStream_t stream; size_t workspace; };
struct ot__dnn_handle { cudaStream_t stream; };
struct ot__dnn_tensor { int set, format, type, n, c, h, w; };
struct ot__dnn_filter { int set, format, type, k, c, h, w; };
struct ot__dnn_conv { int set, pad_h, pad_w, stride_h, stride_w, dilate_h, dilate_w, mode, type, groups, math; };

namespace {

enum { DNN_NO_MEMORY = 1003, DNN_BAD = 2000, DNN_NOT_SUPPORTED = 3000, DNN_EXECUTION = 5000 };      /* version 9's */

std::string missing, failing, found_path;
int         status, after;
std::map<std::string, int64_t> counts;

int asked(const char *name)
{
    counts[name]++;
    return failing == name && --after < 0 ? status : 0;
}
#define ASKED \
    if (int s_ = asked(__func__)) return s_

float get(const void *p, int half, int64_t at) { return half ? __half2float(((const __half *)p)[at]) : ((const float *)p)[at]; }
void  put(void *p, int half, int64_t at, float v)
{
    if (half) ((__half *)p)[at] = __float2half_rn(v);
    else ((float *)p)[at] = v;
}
/* As a tensor core takes it. */
float taken(float f, bool tf32) { return tf32 ? __int_as_float((int)(((uint32_t)__float_as_int(f) + 0x1000u) & 0xffffe000u)) : f; }

template <class F> int on_device(F f)
{
    return simt::run([=] { if (threadIdx.x == 0) f(); }, dim3(1), dim3(32), 0, __FILE__, __LINE__);
}

int conv_out(int in, int pad, int k, int stride) { return (in + 2 * pad - k) / stride + 1; }

/* What every convolution call checks. */
int check(cudnnHandle_t h, const ot__dnn_tensor *x, const ot__dnn_filter *w, const ot__dnn_conv *c, const ot__dnn_tensor *y)
{
    if (!h || !h->stream || !x || !w || !c || !y || !x->set || !w->set || !c->set || !y->set) return DNN_BAD;
    if (x->type != w->type || x->type != y->type || c->type != OT_DNN_F32) return DNN_BAD;
    if (x->n != y->n || x->c != w->c * c->groups || y->c != w->k || w->k % c->groups) return DNN_BAD;
    if (y->h != conv_out(x->h, c->pad_h, w->h, c->stride_h) || y->w != conv_out(x->w, c->pad_w, w->w, c->stride_w)) return DNN_BAD;
    if (x->format != OT_DNN_NHWC || w->format != OT_DNN_NHWC || y->format != OT_DNN_NHWC || c->dilate_h != 1 || c->dilate_w != 1) return DNN_NOT_SUPPORTED;
    if (c->mode != OT_DNN_CORRELATION) return DNN_NOT_SUPPORTED;
    if (x->type == OT_DNN_F16 && (x->c % 8 || y->c % 8)) return DNN_NOT_SUPPORTED;
    return 0;
}

size_t workspace_of(const ot__dnn_tensor *y) { return 64 + (size_t)y->n * 4; }

/* Every (x, w, y) element that meets: f(x index, w index, y index). */
template <class F> void each(const ot__dnn_tensor &x, const ot__dnn_filter &w, const ot__dnn_conv &c, const ot__dnn_tensor &y, F f)
{
    for (int n = 0; n < y.n; n++)
        for (int oy = 0; oy < y.h; oy++)
            for (int ox = 0; ox < y.w; ox++)
                for (int k = 0; k < y.c; k++)
                    for (int r = 0; r < w.h; r++)
                        for (int s = 0; s < w.w; s++) {
                            const int iy = oy * c.stride_h - c.pad_h + r, ix = ox * c.stride_w - c.pad_w + s;
                            if (iy < 0 || ix < 0 || iy >= x.h || ix >= x.w) continue;
                            for (int i = 0; i < w.c; i++)
                                f((((int64_t)n * x.h + iy) * x.w + ix) * x.c + k / (w.k / c.groups) * w.c + i, (((int64_t)k * w.h + r) * w.w + s) * w.c + i,
                                  (((int64_t)n * y.h + oy) * y.w + ox) * y.c + k);
                        }
}

/* to = alpha * sum + beta * to; with beta 0 what was there does not matter, NaN neither. */
void blend(const std::vector<float> &sum, float alpha, float beta, void *to, int half)
{
    for (size_t i = 0; i < sum.size(); i++) put(to, half, (int64_t)i, alpha * sum[i] + (beta != 0 ? beta * get(to, half, (int64_t)i) : 0.0f));
}

}

#pragma GCC diagnostic ignored "-Wmissing-declarations"

extern "C" {

void simt_libs(const char *m, const char *f, int s, int a) { missing = m ? m : "", failing = f ? f : "", status = s, after = a; }

int64_t simt_lib_calls(const char *name)
{
    int64_t n = 0;
    for (auto &c : counts)
        if (!name || c.first == name) n += c.second;
    return n;
}

const char *simt_library_path(void) { return found_path.c_str(); }

/* --- cuBLAS --- */

static cublasStatus_t cublasCreate_v2(cublasHandle_t *h)
{
    ASKED;
    *h = new ot__blas_handle{};
    simt_hold(1);
    return 0;
}

static cublasStatus_t cublasDestroy_v2(cublasHandle_t h)
{
    if (!h) return OT_BLAS_INVALID;
    delete h;
    simt_hold(-1);
    return 0;
}

static cublasStatus_t cublasGetVersion_v2(cublasHandle_t h, int *v)
{
    ASKED;
    *v = 130002;
    return h ? 0 : OT_BLAS_INVALID;
}

static cublasStatus_t cublasSetStream_v2(cublasHandle_t h, cudaStream_t s)
{
    ASKED;
    h->stream = s;
    h->workspace = 0;                      /* as the real one */
    return 0;
}

static cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t h, void *p, size_t n)
{
    ASKED;
    if (!p || (uintptr_t)p % 256) return OT_BLAS_INVALID;
    h->workspace = n;
    return 0;
}

static const char *cublasGetStatusString(cublasStatus_t s)
{
    switch (s) {
    case OT_BLAS_NO_MEMORY: return "the resource allocation failed";
    case OT_BLAS_INVALID: return "an unsupported value or parameter was passed to the function";
    case OT_BLAS_EXECUTION: return "the function failed to launch on the GPU";
    case OT_BLAS_NOT_SUPPORTED: return "the requested functionality is not supported";
    default: return "unknown cublas status";
    }
}

static cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const void *alpha, const void *a,
                                                 cudaDataType at, int lda, long long sa, const void *b, cudaDataType bt, int ldb, long long sb, const void *beta, void *c,
                                                 cudaDataType ct, int ldc, long long sc, int count, cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
    ASKED;
    if (!h || !h->stream || !h->workspace) return OT_BLAS_INVALID;        /* ours is to set both */
    if (m < 0 || n < 0 || k < 0 || count < 0 || (ta != OT_BLAS_N && ta != OT_BLAS_T) || (tb != OT_BLAS_N && tb != OT_BLAS_T)) return OT_BLAS_INVALID;
    if (lda < (ta == OT_BLAS_N ? m : k) || ldb < (tb == OT_BLAS_N ? k : n) || ldc < m || !a || !b || !c) return OT_BLAS_INVALID;
    if (count > 1 && sc < (long long)ldc * n) return OT_BLAS_INVALID;     /* results on top of each other */
    if (at != bt || at != ct || algo != OT_BLAS_ANY_ALGORITHM) return OT_BLAS_NOT_SUPPORTED;
    const int  half = at == OT_BLAS_F16;
    const bool tf32 = compute == OT_BLAS_SUM_TF32;
    if (half ? compute != OT_BLAS_SUM_F32 : compute != OT_BLAS_SUM_PEDANTIC && !tf32) return OT_BLAS_NOT_SUPPORTED;
    const float x = *(const float *)alpha, y = *(const float *)beta;
    int e = on_device([=] {
        for (int64_t i = 0; i < count; i++)
            for (int64_t col = 0; col < n; col++)
                for (int64_t row = 0; row < m; row++) {
                    float sum = 0;
                    for (int64_t l = 0; l < k; l++)
                        sum = fmaf(taken(get(a, half, i * sa + (ta == OT_BLAS_N ? row + l * lda : l + row * lda)), tf32),
                                   taken(get(b, half, i * sb + (tb == OT_BLAS_N ? l + col * ldb : col + l * ldb)), tf32), sum);
                    const int64_t o = i * sc + row + col * ldc;
                    put(c, half, o, x * sum + (y != 0 ? y * get(c, half, o) : 0.0f));
                }
    });
    return e ? OT_BLAS_EXECUTION : 0;
}

/* --- cuDNN --- */

static size_t cudnnGetVersion(void) { return 91900; }

static const char *cudnnGetErrorString(cudnnStatus_t s)
{
    switch (s) {
    case DNN_NO_MEMORY: return "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED";
    case DNN_BAD: return "CUDNN_STATUS_BAD_PARAM";
    case DNN_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case DNN_EXECUTION: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_UNKNOWN_STATUS";
    }
}

static cudnnStatus_t cudnnCreate(cudnnHandle_t *h)
{
    ASKED;
    *h = new ot__dnn_handle{};
    simt_hold(1);
    return 0;
}

static cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t s)
{
    ASKED;
    h->stream = s;
    return 0;
}

#define LIFE(CREATE, DESTROY, TYPE, HANDLE)      \
    static cudnnStatus_t CREATE(HANDLE *d)       \
    {                                            \
        ASKED;                                   \
        *d = new TYPE{};                         \
        simt_hold(1);                            \
        return 0;                                \
    }                                            \
    static cudnnStatus_t DESTROY(HANDLE d)       \
    {                                            \
        if (!d) return DNN_BAD;                  \
        delete d;                                \
        simt_hold(-1);                           \
        return 0;                                \
    }
LIFE(cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor, ot__dnn_tensor, cudnnTensorDescriptor_t)
LIFE(cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor, ot__dnn_filter, cudnnFilterDescriptor_t)
LIFE(cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor, ot__dnn_conv, cudnnConvolutionDescriptor_t)

static cudnnStatus_t cudnnDestroy(cudnnHandle_t h)
{
    delete h;
    simt_hold(-1);
    return 0;
}

static cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t f, cudnnDataType_t t, int n, int c, int h, int w)
{
    ASKED;
    if (!d || n <= 0 || c <= 0 || h <= 0 || w <= 0) return DNN_BAD;
    *d = {1, f, t, n, c, h, w};
    return 0;
}

static cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t t, cudnnTensorFormat_t f, int k, int c, int h, int w)
{
    ASKED;
    if (!d || k <= 0 || c <= 0 || h <= 0 || w <= 0) return DNN_BAD;
    *d = {1, f, t, k, c, h, w};
    return 0;
}

static cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int ph, int pw, int sh, int sw, int dh, int dw, cudnnConvolutionMode_t mode,
                                                     cudnnDataType_t t)
{
    ASKED;
    if (!d || ph < 0 || pw < 0 || sh <= 0 || sw <= 0 || dh <= 0 || dw <= 0) return DNN_BAD;
    *d = {1, ph, pw, sh, sw, dh, dw, mode, t, 1, 0};
    return 0;
}

static cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t d, int groups)
{
    ASKED;
    d->groups = groups;
    return groups > 0 ? 0 : DNN_BAD;
}

static cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math)
{
    ASKED;
    d->math = math;
    return math == OT_DNN_TENSOR_MATH || math == OT_DNN_PLAIN_MATH ? 0 : DNN_BAD;
}

static cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t h, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t c,
                                                             cudnnTensorDescriptor_t y, cudnnConvolutionFwdAlgo_t algo, size_t *bytes)
{
    ASKED;
    *bytes = y ? workspace_of(y) : 0;
    return algo == OT_DNN_FORWARD ? check(h, x, w, c, y) : DNN_NOT_SUPPORTED;
}

static cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t h, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t c,
                                                                  cudnnTensorDescriptor_t dx, cudnnConvolutionBwdDataAlgo_t algo, size_t *bytes)
{
    ASKED;
    *bytes = dy ? workspace_of(dy) : 0;
    return algo == OT_DNN_DATA ? check(h, dx, w, c, dy) : DNN_NOT_SUPPORTED;
}

static cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t h, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t c,
                                                                    cudnnFilterDescriptor_t dw, cudnnConvolutionBwdFilterAlgo_t algo, size_t *bytes)
{
    ASKED;
    *bytes = dy ? workspace_of(dy) : 0;
    return algo == OT_DNN_FILTER ? check(h, x, dw, c, dy) : DNN_NOT_SUPPORTED;
}

static cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t h, const void *alpha, cudnnTensorDescriptor_t x, const void *px, cudnnFilterDescriptor_t w, const void *pw,
                                             cudnnConvolutionDescriptor_t c, cudnnConvolutionFwdAlgo_t algo, void *workspace, size_t bytes, const void *beta,
                                             cudnnTensorDescriptor_t y, void *py)
{
    ASKED;
    if (int e = check(h, x, w, c, y)) return e;
    if (algo != OT_DNN_FORWARD) return DNN_NOT_SUPPORTED;
    if (!workspace || bytes < workspace_of(y) || !px || !pw || !py) return DNN_BAD;
    const ot__dnn_tensor X = *x, Y = *y;
    const ot__dnn_filter W = *w;
    const ot__dnn_conv   C = *c;
    const float a = *(const float *)alpha, b = *(const float *)beta;
    const int   half = X.type == OT_DNN_F16;
    const bool  tf32 = !half && C.math == OT_DNN_TENSOR_MATH;
    int e = on_device([=] {
        memset(workspace, 0xff, workspace_of(&Y));
        std::vector<float> sum((size_t)Y.n * Y.h * Y.w * Y.c, 0.0f);
        each(X, W, C, Y, [&](int64_t i, int64_t j, int64_t o) { sum[(size_t)o] = fmaf(taken(get(px, half, i), tf32), taken(get(pw, half, j), tf32), sum[(size_t)o]); });
        blend(sum, a, b, py, half);
    });
    return e ? DNN_EXECUTION : 0;
}

static cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t h, const void *alpha, cudnnFilterDescriptor_t w, const void *pw, cudnnTensorDescriptor_t dy, const void *py,
                                                  cudnnConvolutionDescriptor_t c, cudnnConvolutionBwdDataAlgo_t algo, void *workspace, size_t bytes, const void *beta,
                                                  cudnnTensorDescriptor_t dx, void *px)
{
    ASKED;
    if (int e = check(h, dx, w, c, dy)) return e;
    if (algo != OT_DNN_DATA) return DNN_NOT_SUPPORTED;
    if (!workspace || bytes < workspace_of(dy) || !px || !pw || !py) return DNN_BAD;
    const ot__dnn_tensor X = *dx, Y = *dy;
    const ot__dnn_filter W = *w;
    const ot__dnn_conv   C = *c;
    const float a = *(const float *)alpha, b = *(const float *)beta;
    const int   half = X.type == OT_DNN_F16;
    const bool  tf32 = !half && C.math == OT_DNN_TENSOR_MATH;
    int e = on_device([=] {
        memset(workspace, 0xff, workspace_of(&Y));
        std::vector<float> sum((size_t)X.n * X.h * X.w * X.c, 0.0f);
        each(X, W, C, Y, [&](int64_t i, int64_t j, int64_t o) { sum[(size_t)i] = fmaf(taken(get(py, half, o), tf32), taken(get(pw, half, j), tf32), sum[(size_t)i]); });
        blend(sum, a, b, px, half);
    });
    return e ? DNN_EXECUTION : 0;
}

static cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t h, const void *alpha, cudnnTensorDescriptor_t x, const void *px, cudnnTensorDescriptor_t dy, const void *py,
                                                    cudnnConvolutionDescriptor_t c, cudnnConvolutionBwdFilterAlgo_t algo, void *workspace, size_t bytes, const void *beta,
                                                    cudnnFilterDescriptor_t dw, void *pw)
{
    ASKED;
    if (int e = check(h, x, dw, c, dy)) return e;
    if (algo != OT_DNN_FILTER) return DNN_NOT_SUPPORTED;
    if (!workspace || bytes < workspace_of(dy) || !px || !pw || !py) return DNN_BAD;
    const ot__dnn_tensor X = *x, Y = *dy;
    const ot__dnn_filter W = *dw;
    const ot__dnn_conv   C = *c;
    const float a = *(const float *)alpha, b = *(const float *)beta;
    const int   half = X.type == OT_DNN_F16;
    const bool  tf32 = !half && C.math == OT_DNN_TENSOR_MATH;
    int e = on_device([=] {
        memset(workspace, 0xff, workspace_of(&Y));
        std::vector<float> sum((size_t)W.k * W.h * W.w * W.c, 0.0f);
        each(X, W, C, Y, [&](int64_t i, int64_t j, int64_t o) { sum[(size_t)j] = fmaf(taken(get(px, half, i), tf32), taken(get(py, half, o), tf32), sum[(size_t)j]); });
        blend(sum, a, b, pw, half);
    });
    return e ? DNN_EXECUTION : 0;
}

/* --- loading --- */

static const char blas_file[] = "libcublas.so.13", dnn_file[] = "libcudnn.so.9";

void *simt_library(const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (!missing.empty() && !strncmp(name, missing.c_str(), missing.size())) return nullptr;
    found_path = path;
    return !strcmp(name, blas_file) ? (void *)blas_file : !strcmp(name, dnn_file) ? (void *)dnn_file : nullptr;
}

void *simt_symbol(void *library, const char *name)
{
    if (!missing.empty() && !strncmp(name, missing.c_str(), missing.size())) return nullptr;
#define FIND(GIVES, NAME, ARGUMENTS)                 \
    {                                                \
        GIVES(*call) ARGUMENTS = NAME;               \
        if (!strcmp(name, #NAME)) return (void *)call; \
    }
    if (library == blas_file) { OT_CUBLAS_CALLS(FIND) }
    else { OT_CUDNN_CALLS(FIND) }
    return nullptr;
}

}
