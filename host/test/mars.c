/* mars.c - multivariate adaptive regression splines: forward, backward, and the terms that stay as plain arrays. */
#include "test/mars.h"
#include "base/fail.h"

/* One block: coefficients, cuts, then the whole numbers. */
static ot_status pack(ot_predictor *out, const ot__mars_basis *basis, const ot__mars_subset *kept, int p)
{
    size_t terms = (size_t)kept->terms, hinges = 0;
    for (int t = 0; t < kept->terms; t++) hinges += (size_t)basis->term[kept->term[t]].hinges;
    size_t  bytes = (terms + hinges) * sizeof(double) + (terms + 1 + 2 * hinges) * sizeof(int32_t);
    double *coef = ot_alloc(bytes, 1), *cut = coef + terms;
    if (!coef) OT_NOMEM("MARS model", bytes);
    int32_t *start = (int32_t *)(cut + hinges), *feature = start + terms + 1, *dir = feature + hinges;
    int      h = 0;
    for (int t = 0; t < kept->terms; t++) {
        const ot__mars_term *from = &basis->term[kept->term[t]];
        coef[t] = kept->coef[t];
        for (int k = 0; k < from->hinges; k++, h++) feature[h] = from->feature[k], dir[h] = from->dir[k], cut[h] = from->cut[k];
        start[t + 1] = h;
    }
    *out = (ot_predictor){.kind = OT_PREDICTOR_MARS, .p = p, .memory = coef};
    out->mars = (ot_mars){.terms = kept->terms, .hinges = h, .coef = coef, .start = start, .feature = feature, .dir = dir, .cut = cut};
    return OT_OK;
}

ot_status ot__mars_fit(ot_predictor *out, ot__mars_basis *basis, ot__mars_subset *kept, const ot__rows *rows)
{
    const ot_predictor_options *opt = rows->opt;
    ot__mars_basis  b = {0};
    ot__mars_subset k = {0};
    ot_status       st;
    OT_TRY_TO(done, st, ot__mars_forward(&b, rows));
    OT_TRY_TO(done, st, ot__mars_backward(&k, &b, rows->y, rows->n, opt->penalty < 0 ? (opt->degree == 1 ? 2 : 3) : opt->penalty));
    OT_TRY_TO(done, st, pack(out, &b, &k, rows->p));
done:
    if (st == OT_OK && basis) *basis = b;
    else ot__mars_basis_free(&b);
    if (st == OT_OK && kept) *kept = k;
    else ot_free(k.memory);
    return st;
}
