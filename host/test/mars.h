/* mars.h - multivariate adaptive regression splines in two passes; the trace shows tests what each pass chose. */
#ifndef OT_TEST_MARS_H
#define OT_TEST_MARS_H

#include "test/learner.h"

/* A product of at most two hinges, written as in ot_mars. */
typedef struct ot__mars_term {
    int     hinges;
    int32_t feature[2], dir[2];
    double  cut[2];
} ot__mars_term;

/* What the forward pass leaves: terms, the constant first, and their values on the rows. */
typedef struct ot__mars_basis {
    int            terms;
    ot__mars_term *term;           /* (terms) */
    double        *column;         /* (terms, n) */
} ot__mars_basis;
ot_status ot__mars_forward(ot__mars_basis *out, const ot__rows *rows);
void      ot__mars_basis_free(ot__mars_basis *b);

/* What the backward pass keeps. */
typedef struct ot__mars_subset {
    int     terms, sizes;
    int    *term;                  /* (terms) of the basis, ascending */
    double *coef;                  /* (terms) */
    double *rss;                   /* (sizes) of the best 1, 2, .. terms on the way down */
    double  gcv, rsq, grsq;
    void   *memory;
} ot__mars_subset;
ot_status ot__mars_backward(ot__mars_subset *out, const ot__mars_basis *basis, const double *y, int n, double penalty);

/* GCV of rss with `terms` terms on n rows: infinite where the terms cost all the rows. */
double ot__mars_gcv(int terms, double rss, int n, double penalty);

/* Both passes.  *basis and *kept may be NULL; if not, the caller frees the basis and kept->memory. */
ot_status ot__mars_fit(ot_predictor *out, ot__mars_basis *basis, ot__mars_subset *kept, const ot__rows *rows);

#endif
