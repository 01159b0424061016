/* product_loop.h - the product, written once: the file that includes it names the function (OT_PRODUCT) and the bytes of a vector
 * (OT_PRODUCT_BYTES).
 *
 * Blocks of 256 of k and 64 rows of c: that part of a is packed into strips of 4 columns (128 KB, the second cache); then, for each two
 * vectors' width of c, that part of b (32 KB or less, the first cache); then tiles of 4 rows, eight vectors of sums in registers.  What
 * sticks out of the matrix is packed as zero and not written back. */
#include "test/product.h"

#include <string.h>

enum { K_BLOCK = 256, M_BLOCK = 64, MR = 4, NV = OT_PRODUCT_BYTES / 8, NR = 2 * NV };
typedef double vec __attribute__((vector_size(OT_PRODUCT_BYTES), aligned(8)));

static int least(int a, int b) { return a < b ? a : b; }

/* (k, width) of src into rows of `to` numbers. */
static void pack(double *out, const double *src, size_t ld, int k, int width, int to)
{
    for (int r = 0; r < k; r++, src += ld, out += to) {
        for (int i = 0; i < width; i++) out[i] = src[i];
        for (int i = width; i < to; i++) out[i] = 0;
    }
}

static void tile(double *c, size_t ldc, const double *a, const double *b, int k, int rows, int columns, double sign)
{
    vec sum[MR][2] = {{{0}}};
    for (int r = 0; r < k; r++, a += MR, b += NR) {
        vec lo = *(const vec *)b, hi = *(const vec *)(b + NV);
        for (int i = 0; i < MR; i++) {
            sum[i][0] += a[i] * lo;
            sum[i][1] += a[i] * hi;
        }
    }
    double out[MR][NR];
    memcpy(out, sum, sizeof out);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) c[(size_t)i * ldc + (size_t)j] += sign * out[i][j];
}

void OT_PRODUCT(const ot__product_args *g)
{
    double pa[M_BLOCK * K_BLOCK], pb[K_BLOCK * NR];
    for (int k0 = 0; k0 < g->k; k0 += K_BLOCK) {
        int k = least(K_BLOCK, g->k - k0);
        for (int i0 = 0; i0 < g->m; i0 += M_BLOCK) {
            int rows = least(M_BLOCK, g->m - i0), first = g->upper ? i0 / NR * NR : 0;
            for (int i = 0; i < rows; i += MR)
                pack(pa + (size_t)i * (size_t)k, g->a + (size_t)k0 * g->lda + (size_t)(i0 + i), g->lda, k, least(MR, rows - i), MR);
            for (int j = first; j < g->n; j += NR) {
                int columns = least(NR, g->n - j);
                pack(pb, g->b + (size_t)k0 * g->ldb + (size_t)j, g->ldb, k, columns, NR);
                for (int i = 0; i < rows && !(g->upper && i0 + i > j + NR - 1); i += MR)
                    tile(g->c + (size_t)(i0 + i) * g->ldc + (size_t)j, g->ldc, pa + (size_t)i * (size_t)k, pb, k, least(MR, rows - i), columns, g->sign);
            }
        }
    }
}
