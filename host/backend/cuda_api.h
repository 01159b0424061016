/* cuda_api.h - the few calls of cuBLAS and cuDNN that cuda_lib.c makes, declared by us: the libraries are found at run time, their headers
 * are not needed to build.
 *
 * Each list is X(what is returned, name, arguments).  Types carry the libraries' names, so that tests/cuda_libs_test.sh can hold every line
 * against the real headers (with OT_CUDA_API_REAL the types are theirs).  Enumerations are ints to us; the values used are OT_... below. */
#ifndef OT_BACKEND_CUDA_API_H
#define OT_BACKEND_CUDA_API_H

#include <stddef.h>

#ifndef OT_CUDA_API_REAL
#include <cuda_runtime_api.h>
typedef struct ot__blas_handle *cublasHandle_t;
typedef struct ot__dnn_handle  *cudnnHandle_t;
typedef struct ot__dnn_tensor  *cudnnTensorDescriptor_t;
typedef struct ot__dnn_filter  *cudnnFilterDescriptor_t;
typedef struct ot__dnn_conv    *cudnnConvolutionDescriptor_t;
typedef int cublasStatus_t, cublasOperation_t, cublasComputeType_t, cublasGemmAlgo_t, cudnnStatus_t, cudnnTensorFormat_t, cudnnDataType_t,
    cudnnConvolutionMode_t, cudnnMathType_t, cudnnConvolutionFwdAlgo_t, cudnnConvolutionBwdDataAlgo_t, cudnnConvolutionBwdFilterAlgo_t;
#ifndef __LIBRARY_TYPES_H__                     /* the CUDA runtime's own header may have said it already */
typedef int cudaDataType;
#endif
#endif

/* X(our name, the library's, its value) */
#define OT_CUDA_API_VALUES(X)                                                                  \
    X(OT_BLAS_OK, CUBLAS_STATUS_SUCCESS, 0)                                                    \
    X(OT_BLAS_NO_MEMORY, CUBLAS_STATUS_ALLOC_FAILED, 3)                                        \
    X(OT_BLAS_INVALID, CUBLAS_STATUS_INVALID_VALUE, 7)                                         \
    X(OT_BLAS_EXECUTION, CUBLAS_STATUS_EXECUTION_FAILED, 13)                                   \
    X(OT_BLAS_NOT_SUPPORTED, CUBLAS_STATUS_NOT_SUPPORTED, 15)                                  \
    X(OT_BLAS_N, CUBLAS_OP_N, 0)                                                               \
    X(OT_BLAS_T, CUBLAS_OP_T, 1)                                                               \
    X(OT_BLAS_F32, CUDA_R_32F, 0)                                                              \
    X(OT_BLAS_F16, CUDA_R_16F, 2)                                                              \
    X(OT_BLAS_SUM_F32, CUBLAS_COMPUTE_32F, 68)                   /* halves in, float sums */   \
    X(OT_BLAS_SUM_PEDANTIC, CUBLAS_COMPUTE_32F_PEDANTIC, 69)     /* never tensor cores */      \
    X(OT_BLAS_SUM_TF32, CUBLAS_COMPUTE_32F_FAST_TF32, 77)                                      \
    X(OT_BLAS_ANY_ALGORITHM, CUBLAS_GEMM_DEFAULT, -1)                                          \
    X(OT_DNN_OK, CUDNN_STATUS_SUCCESS, 0)                                                      \
    X(OT_DNN_NHWC, CUDNN_TENSOR_NHWC, 1)                                                       \
    X(OT_DNN_F32, CUDNN_DATA_FLOAT, 0)                                                         \
    X(OT_DNN_F16, CUDNN_DATA_HALF, 2)                                                          \
    X(OT_DNN_CORRELATION, CUDNN_CROSS_CORRELATION, 1)                                          \
    X(OT_DNN_TENSOR_MATH, CUDNN_TENSOR_OP_MATH, 1)                                             \
    X(OT_DNN_PLAIN_MATH, CUDNN_FMA_MATH, 3)                      /* the default may be tf32 */ \
    X(OT_DNN_FORWARD, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, 1)                     \
    X(OT_DNN_DATA, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, 1)         /* 0 adds in any order */     \
    X(OT_DNN_FILTER, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, 1)     /* so do 0 and 3 */

enum {
#define OT_VALUE(OURS, THEIRS, VALUE) OURS = VALUE,
    OT_CUDA_API_VALUES(OT_VALUE)
#undef OT_VALUE
};

#define OT_CUBLAS_CALLS(X)                                                                                                                  \
    X(cublasStatus_t, cublasCreate_v2, (cublasHandle_t *))                                                                                  \
    X(cublasStatus_t, cublasDestroy_v2, (cublasHandle_t))                                                                                   \
    X(cublasStatus_t, cublasGetVersion_v2, (cublasHandle_t, int *))                                                                         \
    X(cublasStatus_t, cublasSetStream_v2, (cublasHandle_t, cudaStream_t))                                                                   \
    X(cublasStatus_t, cublasSetWorkspace_v2, (cublasHandle_t, void *, size_t))                                                              \
    X(const char *, cublasGetStatusString, (cublasStatus_t))                                                                                \
    /* column-major, each of `count` products a stride from the last: C (m, n) = alpha A (m, k) B (k, n) + beta C */                        \
    X(cublasStatus_t, cublasGemmStridedBatchedEx,                                                                                           \
      (cublasHandle_t, cublasOperation_t, cublasOperation_t, int m, int n, int k, const void *alpha, const void *a, cudaDataType, int lda,  \
       long long stride_a, const void *b, cudaDataType, int ldb, long long stride_b, const void *beta, void *c, cudaDataType, int ldc,      \
       long long stride_c, int count, cublasComputeType_t, cublasGemmAlgo_t))

#define OT_CUDNN_CALLS(X)                                                                                                                   \
    X(size_t, cudnnGetVersion, (void))                                                                                                      \
    X(const char *, cudnnGetErrorString, (cudnnStatus_t))                                                                                   \
    X(cudnnStatus_t, cudnnCreate, (cudnnHandle_t *))                                                                                        \
    X(cudnnStatus_t, cudnnDestroy, (cudnnHandle_t))                                                                                         \
    X(cudnnStatus_t, cudnnSetStream, (cudnnHandle_t, cudaStream_t))                                                                         \
    X(cudnnStatus_t, cudnnCreateTensorDescriptor, (cudnnTensorDescriptor_t *))                                                              \
    X(cudnnStatus_t, cudnnDestroyTensorDescriptor, (cudnnTensorDescriptor_t))                                                               \
    X(cudnnStatus_t, cudnnSetTensor4dDescriptor, (cudnnTensorDescriptor_t, cudnnTensorFormat_t, cudnnDataType_t, int n, int c, int h, int w)) \
    X(cudnnStatus_t, cudnnCreateFilterDescriptor, (cudnnFilterDescriptor_t *))                                                              \
    X(cudnnStatus_t, cudnnDestroyFilterDescriptor, (cudnnFilterDescriptor_t))                                                               \
    X(cudnnStatus_t, cudnnSetFilter4dDescriptor, (cudnnFilterDescriptor_t, cudnnDataType_t, cudnnTensorFormat_t, int k, int c, int h, int w)) \
    X(cudnnStatus_t, cudnnCreateConvolutionDescriptor, (cudnnConvolutionDescriptor_t *))                                                    \
    X(cudnnStatus_t, cudnnDestroyConvolutionDescriptor, (cudnnConvolutionDescriptor_t))                                                     \
    X(cudnnStatus_t, cudnnSetConvolution2dDescriptor,                                                                                       \
      (cudnnConvolutionDescriptor_t, int pad_h, int pad_w, int stride_h, int stride_w, int dilate_h, int dilate_w, cudnnConvolutionMode_t,  \
       cudnnDataType_t))                                                                                                                    \
    X(cudnnStatus_t, cudnnSetConvolutionGroupCount, (cudnnConvolutionDescriptor_t, int))                                                    \
    X(cudnnStatus_t, cudnnSetConvolutionMathType, (cudnnConvolutionDescriptor_t, cudnnMathType_t))                                          \
    X(cudnnStatus_t, cudnnGetConvolutionForwardWorkspaceSize,                                                                               \
      (cudnnHandle_t, cudnnTensorDescriptor_t, cudnnFilterDescriptor_t, cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t,              \
       cudnnConvolutionFwdAlgo_t, size_t *))                                                                                                \
    X(cudnnStatus_t, cudnnGetConvolutionBackwardDataWorkspaceSize,                                                                          \
      (cudnnHandle_t, cudnnFilterDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t,              \
       cudnnConvolutionBwdDataAlgo_t, size_t *))                                                                                            \
    X(cudnnStatus_t, cudnnGetConvolutionBackwardFilterWorkspaceSize,                                                                        \
      (cudnnHandle_t, cudnnTensorDescriptor_t, cudnnTensorDescriptor_t, cudnnConvolutionDescriptor_t, cudnnFilterDescriptor_t,              \
       cudnnConvolutionBwdFilterAlgo_t, size_t *))                                                                                          \
    X(cudnnStatus_t, cudnnConvolutionForward,                                                                                               \
      (cudnnHandle_t, const void *alpha, cudnnTensorDescriptor_t, const void *x, cudnnFilterDescriptor_t, const void *w,                    \
       cudnnConvolutionDescriptor_t, cudnnConvolutionFwdAlgo_t, void *workspace, size_t, const void *beta, cudnnTensorDescriptor_t, void *y)) \
    X(cudnnStatus_t, cudnnConvolutionBackwardData,                                                                                          \
      (cudnnHandle_t, const void *alpha, cudnnFilterDescriptor_t, const void *w, cudnnTensorDescriptor_t, const void *dy,                   \
       cudnnConvolutionDescriptor_t, cudnnConvolutionBwdDataAlgo_t, void *workspace, size_t, const void *beta, cudnnTensorDescriptor_t,     \
       void *dx))                                                                                                                           \
    X(cudnnStatus_t, cudnnConvolutionBackwardFilter,                                                                                        \
      (cudnnHandle_t, const void *alpha, cudnnTensorDescriptor_t, const void *x, cudnnTensorDescriptor_t, const void *dy,                   \
       cudnnConvolutionDescriptor_t, cudnnConvolutionBwdFilterAlgo_t, void *workspace, size_t, const void *beta, cudnnFilterDescriptor_t,   \
       void *dw))

#endif
