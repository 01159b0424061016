/* product_v3.c - the product for x86-64-v3 (AVX2); the Makefile gives this file its instruction set. */
#ifdef OT_CPU_X86
#define OT_PRODUCT       ot__product_v3
#define OT_PRODUCT_BYTES 32
#include "test/product_loop.h"
#else
typedef int ot__product_v3_is_for_x86_64;      /* an empty file is not C */
#endif
