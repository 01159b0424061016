/* product_v4.c - the product for x86-64-v4 (AVX-512); the Makefile gives this file its instruction set. */
#ifdef OT_CPU_X86
#define OT_PRODUCT       ot__product_v4
#define OT_PRODUCT_BYTES 64
#include "test/product_loop.h"
#else
typedef int ot__product_v4_is_for_x86_64;      /* an empty file is not C */
#endif
