/* hd.h - OT_HD marks a function that the host compiler and nvcc both build: the maths that must be the same everywhere is
 * written once, in headers of this folder, and used by the CPU loops and the CUDA kernels alike. */
#ifndef OT_KERNELS_HD_H
#define OT_KERNELS_HD_H

#ifdef __CUDACC__
#define OT_HD __host__ __device__ static inline
#else
#define OT_HD static inline
#endif

#endif
