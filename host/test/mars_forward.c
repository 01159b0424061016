/* mars_forward.c - MARS's forward pass (Friedman 1991; Fast MARS 1993): which parent, feature and cut lower the squares the most?
 *
 * Terms stand as columns b_t on the rows; q_0 (constant), q_1, .. is an orthonormal basis of them.  A candidate is (parent b, feature x,
 * cut t): it brings the linear direction v = b x and the hinge c = b max(0, x - t).  Without its part in the basis, v becomes r with
 * S = r'r; u = r / sqrt(S).  The squares explained by both are
 *
 *     lin + t1^2 / t2,    lin = (u'y)^2,    t2 = c'c - sum_q (q'c)^2 - (u'c)^2,    t1 = c'y - sum_q (q'c)(q'y) - (u'c)(u'y)
 *
 * Parents and cuts stay while the basis grows, so t2, t1 and r'c are kept for each candidate and only what a new q takes away is
 * subtracted: a step costs two columns, not all (R earth walks all of them again).  The products q'c of all cuts of a feature come from one walk
 * down its sorted values: between two cuts every case above moves by the same amount.  Where r is so short that the subtracted S has no
 * digits left, r is made anew from v.
 *
 * Features are shared out among threads and the best is looked for in ascending order, strictly greater: the first one found wins, whatever
 * the number of threads.  Spans, thresholds and the queue of parents follow R earth 5.3.2 (docs/predictors.md). */
#include "test/mars.h"
#include "base/fail.h"

#include <math.h>
#include <string.h>

static const double MIN_S = 0.01;           /* least r'r of a linear direction, absolute */
static const double SHORT = 1e-6;           /* of v'v: below, S is not to be had by subtraction */

/* What is known of the candidates of one parent. */
typedef struct memo {
    int      room, absorbed;                /* most cuts a feature; basis columns already subtracted */
    int     *cuts;                          /* (p) */
    int32_t *at;                            /* (p, room) place of the cut among the feature's sorted values, descending */
    double  *cc, *t2, *t1, *rc;             /* (p, room) c'c of centred c; the rest without u; r'c */
    double  *vv, *s, *ry;                   /* (p) v'v, r'r, r'y; s = 0: nothing new in this direction, for good */
} memo;

/* A term, or the place of one that was not needed; as parent it may own a memo. */
typedef struct slot { int used; ot__mars_term term; memo *memo; } slot;
typedef struct entry { double delta; int stamp; } entry;       /* of the queue: best gain when tried last, terms there were then */
typedef struct found { int form, cut; double lin, top; } found;    /* cut: index into the memo's, -1: none better than linear */

typedef struct forward {
    const ot__rows *rows;
    int      n, p, degree, room;
    double   penalty;
    int32_t *order;                         /* (p, n) */
    double  *sorted, *centred;              /* (p, n) x ascending; x - mean by row */
    double  *y;                             /* (n) mean 0, sd 1 */
    slot    *slot;                          /* (room) */
    double  *b;                             /* (room, n) */
    double  *q, *qy, *bq;                   /* (room, n), (room), (room, n) b q of the parent at hand */
    entry   *entry;                         /* (room) */
    int     *queue, *work;                  /* (room), (room) */
    found   *found;                         /* (p) */
    double  *scratch;                       /* (threads, n + 2 n) */
    int      slots, entries, columns, used; /* columns: of q */
    int      parent;                        /* at hand */
    double   legal, rss0, rss, last, rsq;
} forward;

static double *row(double *a, size_t width, int i) { return a + (size_t)i * width; }

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
static int find_cuts(int32_t *at, const forward *f, int j, const double *b, span s)
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

/* -- The memo of a parent ------------------------------------------------------------------------------------------ */

static void memo_free(memo *m)
{
    if (!m) return;
    ot_free(m->cc);
    ot_free(m->at);
    ot_free(m);
}

static ot_status memo_make(forward *f, slot *s, const double *b)
{
    span   sp = spans(f->n, f->p, s->term.hinges + 1, positives(b, f->n));
    memo  *m = s->memo = ot_alloc(1, sizeof *m);
    size_t p = (size_t)f->p;
    if (!m) OT_NOMEM("MARS", sizeof *m);
    m->room = f->n / sp.step + 1;
    size_t each = p * (size_t)m->room;
    m->at = ot_alloc(each + p, sizeof *m->at);
    m->cc = ot_alloc(4 * each + 3 * p, sizeof *m->cc);
    if (!m->at || !m->cc) OT_FAIL(OT_E_NOMEM, "MARS: no memory for %d cuts of each of %d features", m->room, f->p);
    m->cuts = m->at + each;
    m->t2 = m->cc + each, m->t1 = m->t2 + each, m->rc = m->t1 + each, m->vv = m->rc + each, m->s = m->vv + p, m->ry = m->s + p;
    return OT_OK;
}

static void memo_first(forward *f, memo *m, int j, const double *b, span sp, double *scratch)
{
    size_t         n = (size_t)f->n;
    double        *v = scratch, *vb = scratch + n, *yb = scratch + 2 * n, mean;
    const double  *x = f->sorted + (size_t)j * n, *xc = f->centred + (size_t)j * n;
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
static void subtract(const forward *f, memo *m, int j, int c, const double *bq, const double *qc)
{
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
static void renew(const forward *f, memo *m, int j, const double *b, double *scratch)
{
    size_t  n = (size_t)f->n, at = (size_t)j * (size_t)m->room;
    double *r = scratch, *unused = scratch + n;
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

/* -- One step ------------------------------------------------------------------------------------------------------ */

static int has(const ot__mars_term *t, int j)
{
    for (int k = 0; k < t->hinges; k++)
        if (t->feature[k] == j) return 1;
    return 0;
}

/* Does a linear part in (parent, j) say anything new?  Not if every term so far is of just these features. */
static int new_form(const forward *f, const ot__mars_term *parent, int j)
{
    int others = 0;
    for (int t = 1; t < f->slots; t++) {
        const ot__mars_term *u = &f->slot[t].term;
        if (!f->slot[t].used) continue;
        others = 1;
        if (!has(u, j) || u->hinges != parent->hinges + 1) return 1;
        for (int k = 0; k < parent->hinges; k++)
            if (!has(u, parent->feature[k])) return 1;
    }
    return !others;
}

static found search_cuts(const forward *f, const memo *m, int j, int form)
{
    size_t at = (size_t)j * (size_t)m->room;
    double root = form ? sqrt(m->s[j]) : 1, uy = form ? m->ry[j] / root : 0;
    double tol = (form ? f->slots + 1 : f->slots) < 15 ? 0.01 : 1e-5;
    found  r = {.form = form, .cut = -1, .lin = uy * uy, .top = uy * uy};
    for (int k = 0; k < m->cuts[j]; k++) {
        double uc = form ? m->rc[at + (size_t)k] / root : 0;
        double t2 = m->t2[at + (size_t)k] - uc * uc, t1 = m->t1[at + (size_t)k] - uc * uy;
        double gain = r.lin + (t2 / m->cc[at + (size_t)k] > tol ? t1 * t1 / t2 : 0);
        if (gain > r.top && gain < f->legal) r.top = gain, r.cut = k;
    }
    return r;
}

/* A thread's share of the features: brings the parent's memo up to date and finds the best cut of each. */
static ot_status try_share(void *user, int job)
{
    forward      *f = user;
    slot         *s = &f->slot[f->parent];
    memo         *m = s->memo;
    size_t        n = (size_t)f->n;
    const double *b = f->b + (size_t)f->parent * n;
    double       *scratch = f->scratch + (size_t)job * 3 * n;
    span          sp = spans(f->n, f->p, s->term.hinges + 1, positives(b, f->n));
    for (int j = job; j < f->p; j += f->rows->threads) {
        f->found[j] = (found){.cut = -1, .lin = -1, .top = -1};
        if (has(&s->term, j)) continue;
        if (!m->absorbed) memo_first(f, m, j, b, sp, scratch);
        for (int c = m->absorbed ? m->absorbed : 1; c < f->columns; c += 2) {       /* column 0: by centring */
            int           next = c + 1 < f->columns ? c + 1 : c;
            const double *z0 = f->bq + (size_t)c * n, *z1 = f->bq + (size_t)next * n;
            hinge_products(scratch, scratch + n, z0, z1, f->order + (size_t)j * n, f->sorted + (size_t)j * n, m->at + (size_t)j * (size_t)m->room,
                           m->cuts[j], f->n);
            subtract(f, m, j, c, z0, scratch);
            if (next > c) subtract(f, m, j, next, z1, scratch + n);
        }
        if (m->vv[j] > 0 && m->s[j] < SHORT * m->vv[j]) renew(f, m, j, b, scratch);
        if (!(m->s[j] > MIN_S)) m->vv[j] = m->s[j] = 0;
        f->found[j] = search_cuts(f, m, j, m->vv[j] > 0 && new_form(f, &s->term, j));
    }
    return OT_OK;
}

typedef struct pick { int parent, feature, cut, form; double gain; } pick;

static ot_status try_parent(forward *f, int parent, pick *best, double *own)
{
    slot         *s = &f->slot[parent];
    size_t        n = (size_t)f->n;
    const double *b = f->b + (size_t)parent * n;
    if (!s->memo) OT_TRY(memo_make(f, s, b));
    for (int c = s->memo->absorbed; c < f->columns; c++)
        for (size_t i = 0; i < n; i++) f->bq[(size_t)c * n + i] = b[i] * f->q[(size_t)c * n + i];
    f->parent = parent;
    OT_TRY(ot__pool_run(f->rows->pool, f->rows->threads, try_share, f));
    s->memo->absorbed = f->columns;
    for (int j = 0; j < f->p; j++) {
        const found *r = &f->found[j];
        if (r->form && r->lin > best->gain) *best = (pick){parent, j, -1, r->form, r->lin};
        if (r->top > best->gain) *best = (pick){parent, j, r->cut, r->form, r->top};
        if (r->top > *own) *own = r->top;
    }
    return OT_OK;
}

/* -- Adding terms -------------------------------------------------------------------------------------------------- */

static void add_column(forward *f, const double *b)
{
    size_t  n = (size_t)f->n;
    double *v = row(f->q, n, f->columns);
    memcpy(v, b, n * sizeof *v);
    for (int pass = 0; pass < 2; pass++)
        for (int c = 0; c < f->columns; c++) {
            const double *q = row(f->q, n, c);
            double        d = ot__dot(q, v, f->n);
            for (size_t i = 0; i < n; i++) v[i] -= d * q[i];
        }
    double length = sqrt(ot__dot(v, v, f->n));
    if (!(length > 1e-12 * sqrt(ot__dot(b, b, f->n)))) return;      /* it lies in the basis: nothing to add */
    for (size_t i = 0; i < n; i++) v[i] /= length;
    f->qy[f->columns] = ot__dot(v, f->y, f->n);
    f->columns++;
}

/* The next slot: the parent times a hinge of feature j, if it is used. */
static void add_slot(forward *f, int parent, int j, int dir, double cut, int used)
{
    slot *s = &f->slot[f->slots];
    *s = (slot){.used = used, .term = f->slot[parent].term};
    if (used) {
        size_t        n = (size_t)f->n;
        double       *b = row(f->b, n, f->slots);
        const double *from = row(f->b, n, parent);
        int           h = s->term.hinges++;
        s->term.feature[h] = j, s->term.dir[h] = dir, s->term.cut[h] = cut;
        for (size_t i = 0; i < n; i++) {
            double x = f->rows->x[i * (size_t)f->p + (size_t)j];
            b[i] = from[i] * (dir == 2 ? x : fmax(0, dir * (x - cut)));
        }
        add_column(f, b);
        f->used++;
    }
    f->slots++;
}

/* The queue: by gain when tried last, aged by the terms added since; the first ones are tried next. */
static void sort_queue(forward *f)
{
    int *rank = f->work;
    for (int k = 0; k < f->entries; k++) {                           /* by delta descending, lower index first */
        int i = k;
        for (; i > 0 && f->entry[f->queue[i - 1]].delta < f->entry[k].delta; i--) f->queue[i] = f->queue[i - 1];
        f->queue[i] = k;
    }
    for (int i = 0; i < f->entries; i++) rank[f->queue[i]] = i - f->entry[f->queue[i]].stamp;      /* + terms now: the same for all */
    for (int k = 1; k < f->entries; k++) {                           /* stable: ties stay in that order */
        int t = f->queue[k], i = k;
        for (; i > 0 && rank[f->queue[i - 1]] > rank[t]; i--) f->queue[i] = f->queue[i - 1];
        f->queue[i] = t;
    }
}

/* One step; *more is 0 when it was the last. */
static ot_status step(forward *f, int *more)
{
    const ot_predictor_options *opt = f->rows->opt;
    int  fast = opt->fast_k < 0 ? (f->degree == 1 ? 0 : 20) : opt->fast_k, terms = f->slots;
    int  tried = fast == 0 ? f->entries : fast < 3 ? 3 : fast;
    pick best = {.parent = -1};
    f->legal = fmin(1.01 * f->rss, 10 * f->last);
    *more = 0;
    for (int k = 0; k < tried && k < f->entries; k++) {
        int    parent = f->queue[k];
        double own = -1;
        if (!f->slot[parent].used || f->slot[parent].term.hinges >= f->degree) continue;
        OT_TRY(try_parent(f, parent, &best, &own));
        f->entry[parent] = (entry){own, terms};
    }
    if (best.parent < 0) return OT_OK;
    int    pair = best.cut >= 0 && best.form;
    double rss = f->rss - best.gain, rsq = 1 - rss / f->rss0;
    double grsq = 1 - ot__mars_gcv(f->used + 1 + pair, rss, f->n, f->penalty) / ot__mars_gcv(1, f->rss0, f->n, f->penalty);
    if (rsq - f->rsq < opt->thresh || grsq < -10) return OT_OK;
    f->rss = rss, f->rsq = rsq, f->last = best.gain;
    if (best.cut < 0) {
        add_slot(f, best.parent, best.feature, 2, 0, 1);
        add_slot(f, best.parent, best.feature, 0, 0, 0);
    } else {
        const memo *m = f->slot[best.parent].memo;
        double      cut = f->sorted[(size_t)best.feature * (size_t)f->n + (size_t)m->at[(size_t)best.feature * (size_t)m->room + (size_t)best.cut]];
        add_slot(f, best.parent, best.feature, 1, cut, 1);
        add_slot(f, best.parent, best.feature, -1, cut, pair);
    }
    for (int k = 0; k < 1 + pair; k++) f->entry[f->entries++] = (entry){INFINITY, terms};
    sort_queue(f);
    *more = !(f->rsq >= 1 - opt->thresh || f->slots >= f->room - 2);
    return OT_OK;
}

/* -- The pass ------------------------------------------------------------------------------------------------------ */

static void forward_free(forward *f)
{
    for (int t = 0; f->slot && t < f->slots; t++) memo_free(f->slot[t].memo);
    ot_free(f->scratch);
    ot_free(f->found);
    ot_free(f->queue);
    ot_free(f->entry);
    ot_free(f->q);
    ot_free(f->b);
    ot_free(f->slot);
    ot_free(f->y);
    ot_free(f->sorted);
    ot_free(f->order);
}

/* Everything whose size is known at the start; parents' memos come when they are tried. */
static ot_status forward_open(forward *f)
{
    size_t n = (size_t)f->n, p = (size_t)f->p, room = (size_t)f->room;
    f->order = ot_alloc(p * n, sizeof *f->order);
    f->sorted = ot_alloc(2 * p * n, sizeof *f->sorted);
    f->y = ot_alloc(n, sizeof *f->y);
    f->slot = ot_alloc(room, sizeof *f->slot);
    f->b = ot_alloc(room * n, sizeof *f->b);
    f->q = ot_alloc(2 * room * n + room, sizeof *f->q);
    f->entry = ot_alloc(room, sizeof *f->entry);
    f->queue = ot_alloc(2 * room, sizeof *f->queue);
    f->found = ot_alloc(p, sizeof *f->found);
    f->scratch = ot_alloc((size_t)f->rows->threads * 3 * n, sizeof *f->scratch);
    if (!f->order || !f->sorted || !f->y || !f->slot || !f->b || !f->q || !f->entry || !f->queue || !f->found || !f->scratch)
        OT_FAIL(OT_E_NOMEM, "MARS: no memory for %d rows of %d features, %d terms", f->n, f->p, f->room);
    f->centred = f->sorted + p * n;
    f->bq = f->q + room * n;
    f->qy = f->bq + room * n;
    f->work = f->queue + room;
    OT_TRY(ot__sort_columns(f->order, f->sorted, f->rows));
    for (size_t j = 0; j < p; j++) {
        double *x = f->centred + j * n;
        for (size_t i = 0; i < n; i++) x[i] = f->rows->x[i * p + j];
        double mean = ot__mean(x, f->n);
        for (size_t i = 0; i < n; i++) x[i] -= mean;
    }
    return OT_OK;
}

static void start(forward *f)
{
    size_t n = (size_t)f->n;
    double mean = ot__mean(f->rows->y, f->n), sd;
    for (size_t i = 0; i < n; i++) f->y[i] = f->rows->y[i] - mean, f->b[i] = 1;
    sd = sqrt(ot__dot(f->y, f->y, f->n) / (f->n - 1));
    for (size_t i = 0; i < n; i++) f->y[i] /= sd;
    mean = ot__mean(f->y, f->n);
    for (size_t i = 0; i < n; i++) f->y[i] -= mean;
    f->slot[0].used = f->slots = f->used = f->entries = 1;
    add_column(f, f->b);
    f->rss0 = f->rss = f->last = ot__dot(f->y, f->y, f->n);
    f->entry[0] = (entry){f->rss0, 1};
}

ot_status ot__mars_forward(ot__mars_basis *out, const ot__rows *rows)
{
    const ot_predictor_options *opt = rows->opt;
    int       most = opt->max_terms ? opt->max_terms : (2 * rows->p < 20 ? 20 : 2 * rows->p > 200 ? 200 : 2 * rows->p) + 1;
    forward   f = {.rows = rows, .n = rows->n, .p = rows->p, .degree = opt->degree, .room = most + 1};
    ot_status st = OT_OK;
    int       more = 1;
    f.penalty = opt->penalty < 0 ? (opt->degree == 1 ? 2 : 3) : opt->penalty;
    *out = (ot__mars_basis){0};
    OT_TRY_TO(done, st, forward_open(&f));
    start(&f);
    while (more) OT_TRY_TO(done, st, step(&f, &more));
    out->term = ot_alloc((size_t)f.slots, sizeof *out->term);
    if (!out->term) OT_FAIL_TO(done, st, OT_E_NOMEM, "MARS: no memory for %d terms", f.slots);
    for (int t = 0; t < f.slots; t++) {                               /* columns close up: the used ones alone */
        if (!f.slot[t].used) continue;
        memmove(row(f.b, (size_t)f.n, out->terms), row(f.b, (size_t)f.n, t), (size_t)f.n * sizeof *f.b);
        out->term[out->terms++] = f.slot[t].term;
    }
    out->column = f.b;
    f.b = NULL;
done:
    forward_free(&f);
    return st;
}

void ot__mars_basis_free(ot__mars_basis *b)
{
    ot_free(b->column);
    ot_free(b->term);
    *b = (ot__mars_basis){0};
}
