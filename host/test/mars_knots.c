/* mars_knots.c - the candidates of one parent: which feature and cut lower the squares the most?
 *
 * Terms stand as columns b_t on the rows; q_0 (constant), q_1, .. is an orthonormal basis of them.  A candidate is (parent b, feature x,
 * cut t): it brings the linear direction v = b x and the hinge c = b max(0, x - t).  Without its part in the basis, v becomes r with
 * S = r'r; u = r / sqrt(S).  The squares explained by both are
 *
 *     lin + t1^2 / t2,    lin = (u'y)^2,    t2 = c'c - sum_q (q'c)^2 - (u'c)^2,    t1 = c'y - sum_q (q'c)(q'y) - (u'c)(u'y)
 *
 * Parents and cuts stay while the basis grows, so t2, t1 and r'c are kept for each candidate and only what a new q takes away is
 * subtracted: a step costs two columns, not all.  The products q'c of all cuts of a feature come from one walk down its sorted values:
 * between two cuts every case above moves by the same amount.  Where r is so short that the subtracted S has no digits left, r is made
 * anew from v.  Spans and thresholds follow R earth 5.3.2 (docs/predictors.md). */
#include "test/mars.h"
#include "base/fail.h"

#include <math.h>

static const double MIN_S = 0.01;           /* least r'r of a linear direction, absolute */
static const double SHORT = 1e-6;           /* of v'v: below, S is not to be had by subtraction */

struct ot__mars_knots {
    const ot__mars_space *space;
    const ot__mars_term  *parent;
    const double         *b;                /* (n) */
    int      room, absorbed;                /* most cuts a feature; basis columns already subtracted */
    int     *cuts;                          /* (p) */
    int32_t *at;                            /* (p, room) place of the cut among the feature's sorted values, descending */
    double  *cc, *t2, *t1, *rc;             /* (p, room) c'c of centred c; the rest without u; r'c */
    double  *vv, *s, *ry;                   /* (p) v'v, r'r, r'y; v'v = 0: nothing new in this direction, for good */
};

/* -- Spans: how far cuts stay from the ends and from each other ---------------------------------------------------- */

typedef struct span { int end, step, start; } span;

static span spans(int n, int p, int degree, int positive)
{
    span s;
    s.end = (int)(7.32193 + log(p) / 0.69315);
    if (degree >= 2) s.end += (int)(2.0 * s.end + 0.5);
    if (s.end > n / 2 - 1) s.end = n / 2 - 1;
    if (s.end < 1) s.end = 1;
    s.step = positive > 0 ? (int)((2.9702 + log((double)p * positive)) / 1.7329) : 1;
    if (s.step < 1) s.step = 1;
    int room = n - 2 * s.end > 0 ? n - 2 * s.end : 0, cuts = room / s.step;
    s.start = room / 2;
    if (room > s.step) s.start = room == cuts * s.step ? s.step / 2 : (room - cuts * s.step) / 2;
    s.start = s.end + s.start > 1 ? s.end + s.start : 1;
    return s;
}

static int positives(const double *b, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) count += b[i] > 0;
    return count;
}

/* The places of one feature that are cuts: every step-th case above which the hinge is not all zero. */
static int find_cuts(int32_t *at, const ot__mars_space *f, int j, const double *b, span s)
{
    const int32_t *o = f->order + (size_t)j * (size_t)f->n;
    const double  *x = f->sorted + (size_t)j * (size_t)f->n;
    int            count = s.start, cuts = 0;
    double         top = -INFINITY;
    for (int i = f->n - 2; i >= s.end; i--) {
        if (!(b[o[i + 1]] > 0)) continue;
        if (x[i + 1] > top) top = x[i + 1];
        if (!(top > x[i]) || --count) continue;
        count = s.step;
        at[cuts++] = i;
    }
    return cuts;
}

/* -- Products of hinges and columns -------------------------------------------------------------------------------- */

/* out[k] = sum over the cases above cut k of z (x - cut), for two columns at once; z holds the parent already. */
static void hinge_products(double *out0, double *out1, const double *z0, const double *z1, const int32_t *order, const double *x,
                           const int32_t *at, int cuts, int n)
{
    double c0 = 0, c1 = 0, s0 = 0, s1 = 0, cut = x[n - 1];
    for (int k = 0, i = n - 1; k < cuts; k++) {
        double down = cut - x[at[k]];
        cut = x[at[k]];
        c0 += down * s0;
        c1 += down * s1;
        for (; i > at[k]; i--) {
            double d = x[i] - cut, a = z0[order[i]], b = z1[order[i]];
            c0 += d * a, c1 += d * b;
            s0 += a, s1 += b;
        }
        out0[k] = c0;
        out1[k] = c1;
    }
}

/* out[k] = c'c of the centred hinge of each cut. */
static void hinge_squares(double *out, const double *b, const int32_t *order, const double *x, const int32_t *at, int cuts, int n)
{
    double c = 0, cc = 0, s = 0, sc = 0, ss = 0, cut = x[n - 1];      /* sums of c, c^2, b, b c, b^2 over the cases above */
    for (int k = 0, i = n - 1; k < cuts; k++) {
        double down = cut - x[at[k]];
        cut = x[at[k]];
        c += down * s;
        cc += down * (2 * sc + down * ss);
        sc += down * ss;
        for (; i > at[k]; i--) {
            double bi = b[order[i]], h = bi * (x[i] - cut);
            c += h, cc += h * h;
            s += bi, sc += bi * h, ss += bi * bi;
        }
        out[k] = cc - c * c / n;
    }
}

/* -- What is kept       ------------------------------------------------------------------------------------------ */

void ot__mars_knots_free(ot__mars_knots *m)
{
    if (!m) return;
    ot_free(m->cc);
    ot_free(m->at);
    ot_free(m);
}

ot_status ot__mars_knots_make(ot__mars_knots **out, const ot__mars_space *space, const ot__mars_term *parent, const double *b)
{
    span            sp = spans(space->n, space->p, parent->hinges + 1, positives(b, space->n));
    size_t          p = (size_t)space->p;
    ot__mars_knots *m = *out = ot_alloc(1, sizeof *m);      /* the caller frees it even if what follows fails */
    if (!m) OT_NOMEM("MARS", sizeof *m);
    *m = (ot__mars_knots){.space = space, .parent = parent, .b = b, .room = space->n / sp.step + 1};
    size_t each = p * (size_t)m->room;
    m->at = ot_alloc(each + p, sizeof *m->at);
    m->cc = ot_alloc(4 * each + 3 * p, sizeof *m->cc);
    if (!m->at || !m->cc) OT_FAIL(OT_E_NOMEM, "MARS: no memory for %d cuts of each of %d features", m->room, space->p);
    m->cuts = m->at + each;
    m->t2 = m->cc + each, m->t1 = m->t2 + each, m->rc = m->t1 + each, m->vv = m->rc + each, m->s = m->vv + p, m->ry = m->s + p;
    return OT_OK;
}

static void first(ot__mars_knots *m, int j, span sp, double *scratch)
{
    const ot__mars_space *f = m->space;
    size_t         n = (size_t)f->n;
    double        *v = scratch, *vb = scratch + n, *yb = scratch + 2 * n, mean;
    const double  *x = f->sorted + (size_t)j * n, *xc = f->centred + (size_t)j * n, *b = m->b;
    const int32_t *o = f->order + (size_t)j * n;
    size_t         at = (size_t)j * (size_t)m->room;
    m->cuts[j] = find_cuts(m->at + at, f, j, b, sp);
    for (size_t i = 0; i < n; i++) v[i] = b[i] * xc[i];
    mean = ot__mean(v, f->n);
    for (size_t i = 0; i < n; i++) v[i] -= mean, vb[i] = v[i] * b[i], yb[i] = f->y[i] * b[i];
    m->vv[j] = m->s[j] = ot__dot(v, v, f->n);
    m->ry[j] = ot__dot(v, f->y, f->n);
    hinge_squares(m->cc + at, b, o, x, m->at + at, m->cuts[j], f->n);
    hinge_products(m->rc + at, m->t1 + at, vb, yb, o, x, m->at + at, m->cuts[j], f->n);
    for (int k = 0; k < m->cuts[j]; k++) m->t2[at + (size_t)k] = m->cc[at + (size_t)k];
}

/* Subtracts what basis column `c` takes from the candidates of feature j, qc[] its products with their hinges. */
static void subtract(ot__mars_knots *m, int j, int c, const double *bq, const double *qc)
{
    const ot__mars_space *f = m->space;
    size_t n = (size_t)f->n, at = (size_t)j * (size_t)m->room;
    double qv = ot__dot(bq, f->centred + (size_t)j * n, f->n), qy = f->qy[c];
    m->s[j] -= qv * qv;
    m->ry[j] -= qv * qy;
    for (int k = 0; k < m->cuts[j]; k++) {
        m->t2[at + (size_t)k] -= qc[k] * qc[k];
        m->t1[at + (size_t)k] -= qc[k] * qy;
        m->rc[at + (size_t)k] -= qc[k] * qv;
    }
}

/* r from v without subtraction of squares: twice through the basis, then all that hangs on it. */
static void renew(ot__mars_knots *m, int j, double *scratch)
{
    const ot__mars_space *f = m->space;
    size_t        n = (size_t)f->n, at = (size_t)j * (size_t)m->room;
    double       *r = scratch, *unused = scratch + n;
    const double *b = m->b;
    for (size_t i = 0; i < n; i++) r[i] = b[i] * f->centred[(size_t)j * n + i];
    for (int pass = 0; pass < 2; pass++)
        for (int c = 0; c < f->columns; c++) {
            const double *q = f->q + (size_t)c * n;
            double        d = ot__dot(q, r, f->n);
            for (size_t i = 0; i < n; i++) r[i] -= d * q[i];
        }
    m->s[j] = ot__dot(r, r, f->n);
    m->ry[j] = ot__dot(r, f->y, f->n);
    for (size_t i = 0; i < n; i++) r[i] *= b[i];
    hinge_products(m->rc + at, unused, r, r, f->order + (size_t)j * n, f->sorted + (size_t)j * n, m->at + at, m->cuts[j], f->n);
}

static int has(const ot__mars_term *t, int j)
{
    for (int k = 0; k < t->hinges; k++)
        if (t->feature[k] == j) return 1;
    return 0;
}

void ot__mars_knots_update(ot__mars_knots *m, int job, int jobs, double *scratch)
{
    const ot__mars_space *f = m->space;
    size_t  n = (size_t)f->n;
    double *z0 = scratch + 3 * n, *z1 = z0 + n;
    span    sp = spans(f->n, f->p, m->parent->hinges + 1, positives(m->b, f->n));
    for (int j = job; j < f->p && !m->absorbed; j += jobs)
        if (!has(m->parent, j)) first(m, j, sp, scratch);
    for (int c = m->absorbed ? m->absorbed : 1; c < f->columns; c += 2) {              /* column 0: by centring */
        int next = c + 1 < f->columns ? c + 1 : c;
        for (size_t i = 0; i < n; i++) z0[i] = m->b[i] * f->q[(size_t)c * n + i], z1[i] = m->b[i] * f->q[(size_t)next * n + i];
        for (int j = job; j < f->p; j += jobs) {
            if (has(m->parent, j)) continue;
            hinge_products(scratch, scratch + n, z0, z1, f->order + (size_t)j * n, f->sorted + (size_t)j * n, m->at + (size_t)j * (size_t)m->room,
                           m->cuts[j], f->n);
            subtract(m, j, c, z0, scratch);
            if (next > c) subtract(m, j, next, z1, scratch + n);
        }
    }
    for (int j = job; j < f->p; j += jobs) {
        if (m->vv[j] > 0 && m->s[j] < SHORT * m->vv[j]) renew(m, j, scratch);
        if (!(m->s[j] > MIN_S)) m->vv[j] = m->s[j] = 0;
    }
}

void ot__mars_knots_updated(ot__mars_knots *m) { m->absorbed = m->space->columns; }

ot__mars_found ot__mars_knots_search(const ot__mars_knots *m, int j, int form, int terms, double legal)
{
    form = form && m->vv[j] > 0;
    size_t at = (size_t)j * (size_t)m->room;
    double root = form ? sqrt(m->s[j]) : 1, uy = form ? m->ry[j] / root : 0;
    double tol = (form ? terms + 1 : terms) < 15 ? 0.01 : 1e-5;
    ot__mars_found r = {.form = form, .cut = -1, .lin = uy * uy, .top = uy * uy};
    for (int k = 0; k < m->cuts[j]; k++) {
        double uc = form ? m->rc[at + (size_t)k] / root : 0;
        double t2 = m->t2[at + (size_t)k] - uc * uc, t1 = m->t1[at + (size_t)k] - uc * uy;
        double gain = r.lin + (t2 / m->cc[at + (size_t)k] > tol ? t1 * t1 / t2 : 0);
        if (gain > r.top && gain < legal) r.top = gain, r.cut = k;
    }
    return r;
}

double ot__mars_knots_cut(const ot__mars_knots *m, int j, int cut)
{
    return m->space->sorted[(size_t)j * (size_t)m->space->n + (size_t)m->at[(size_t)j * (size_t)m->room + (size_t)cut]];
}
