/* product.h - c += sign * a' b in double: the one product behind covariances, Gram matrices, Cholesky factors and triangular solves.
 *
 *     a (k, m), b (k, n), c (m, n), all by rows with a stride
 *
 * Both factors are walked down their columns, so every sum runs over k in the same order whatever the tile, the instruction set or the
 * number of threads: blocks of 256, each summed from zero and then added to c.  Products and sums are rounded one by one (no fused
 * multiply-add), so all builds give the same bits. */
#ifndef OT_TEST_PRODUCT_H
#define OT_TEST_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

typedef struct ot__product_args {
    double       *c;
    const double *a, *b;
    size_t        ldc, lda, ldb;
    int           m, n, k;
    double        sign;                /* 1 or -1 */
    int           upper;               /* tiles wholly below the diagonal of c are left alone */
} ot__product_args;

void ot__product_base(const ot__product_args *g);
void ot__product_v3(const ot__product_args *g);
void ot__product_v4(const ot__product_args *g);

/* The builds, fastest first, and which of them this processor runs. */
typedef struct ot__product_variant { const char *name; void (*fn)(const ot__product_args *); int usable; } ot__product_variant;
enum { OT__PRODUCT_VARIANTS = 3 };
int  ot__product_variants(ot__product_variant out[OT__PRODUCT_VARIANTS]);
void ot__product(const ot__product_args *g);

#endif
