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

/* What candidates are made of: the rows by feature, y, and an orthonormal basis of the terms so far.  Borrowed. */
typedef struct ot__mars_space {
    int            n, p, columns;
    const int32_t *order;                   /* (p, n) rows by ascending x */
    const double  *sorted, *centred;        /* (p, n) x ascending; x - mean by row */
    const double  *y;                       /* (n) mean 0 */
    const double  *q, *qy;                  /* (columns, n), the constant first; (columns) q'y */
} ot__mars_space;

/* The candidates of one parent with column b, kept from step to step.  It borrows all three. */
typedef struct ot__mars_knots ot__mars_knots;
/* form: with a linear part that explains lin; top: the most explained, by cut `cut` (-1: by the linear part alone). */
typedef struct ot__mars_found { int form, cut; double lin, top; } ot__mars_found;
enum { OT__MARS_SCRATCH = 5 };              /* times n numbers a thread */

ot_status ot__mars_knots_make(ot__mars_knots **out, const ot__mars_space *space, const ot__mars_term *parent, const double *b);
void      ot__mars_knots_free(ot__mars_knots *m);
/* Subtracts the basis columns that are new: features job, job + jobs, ..; once all are done, _updated. */
void           ot__mars_knots_update(ot__mars_knots *m, int job, int jobs, double *scratch);
void           ot__mars_knots_updated(ot__mars_knots *m);
ot__mars_found ot__mars_knots_search(const ot__mars_knots *m, int j, int form, int terms, double legal);
double         ot__mars_knots_cut(const ot__mars_knots *m, int j, int cut);

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
