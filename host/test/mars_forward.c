/* mars_forward.c - MARS's forward pass (Friedman 1991): step by step the pair of hinges (or the linear term) that lowers the squares the most.
 *
 * Which parents are tried, and in which order, says a queue (Fast MARS, Friedman 1993): by what they promised when they were tried last,
 * aged by the terms added since.  Their candidates are in mars_knots.c.  Features are shared out among threads and the best is looked for
 * in the queue's order, features ascending, strictly greater: the first one found wins, whatever the number of threads.  A linear step
 * takes the places of two terms and one of the queue, so that the queue's places lag behind the terms': R earth does so, and we follow it
 * (docs/predictors.md). */
#include "test/mars.h"
#include "base/fail.h"

#include <math.h>
#include <string.h>

/* A term, or the place of one that was not needed; as parent it may own candidates. */
typedef struct slot { int used; ot__mars_term term; ot__mars_knots *knots; } slot;
typedef struct entry { double delta; int stamp; } entry;       /* of the queue: best gain when tried last, terms there were then */
typedef struct pick { int parent, feature, cut, form; double gain; } pick;

typedef struct forward {
    const ot__rows *rows;
    ot__mars_space  space;
    int      n, p, degree, room;
    double   penalty;
    slot    *slot;                          /* (room) */
    double  *b;                             /* (room, n) */
    double  *q, *qy, *y;                    /* (room, n), (room), (n): the space's */
    int32_t *order;                         /* (p, n), likewise */
    double  *sorted;                        /* (2, p, n) sorted, centred */
    entry   *entry;                         /* (room) */
    int     *queue, *work, *parent;         /* (room) each; parent: those tried in this step */
    ot__mars_found *found;                  /* (tried, p) */
    double  *scratch;                       /* (threads, OT__MARS_SCRATCH n) */
    int      slots, entries, used, tried;
    double   legal, rss0, rss, last, rsq;
} forward;

static double *row(double *a, size_t width, int i) { return a + (size_t)i * width; }

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

/* A thread's share of the features of every parent tried. */
static ot_status try_share(void *user, int job)
{
    forward *f = user;
    for (int k = 0; k < f->tried; k++) {
        const slot *s = &f->slot[f->parent[k]];
        ot__mars_knots_update(s->knots, job, f->rows->threads, f->scratch + (size_t)job * OT__MARS_SCRATCH * (size_t)f->n);
        for (int j = job; j < f->p; j += f->rows->threads)
            f->found[(size_t)k * (size_t)f->p + (size_t)j] =
                has(&s->term, j) ? (ot__mars_found){.cut = -1, .lin = -1, .top = -1}
                                 : ot__mars_knots_search(s->knots, j, new_form(f, &s->term, j), f->slots, f->legal);
    }
    return OT_OK;
}

/* The first parents of the queue that may have children: all their candidates, then the best in the queue's order. */
static ot_status try_parents(forward *f, pick *best)
{
    int fast = f->rows->opt->fast_k;
    if (fast < 0) fast = f->degree == 1 ? 0 : 20;
    if (fast > 0 && fast < 3) fast = 3;
    f->tried = 0;
    for (int k = 0; k < f->entries && (k < fast || !fast); k++) {
        slot *s = &f->slot[f->queue[k]];
        if (!s->used || s->term.hinges >= f->degree) continue;
        if (!s->knots) OT_TRY(ot__mars_knots_make(&s->knots, &f->space, &s->term, row(f->b, (size_t)f->n, f->queue[k])));
        f->parent[f->tried++] = f->queue[k];
    }
    OT_TRY(ot__pool_run(f->rows->pool, f->rows->threads, try_share, f));
    for (int k = 0; k < f->tried; k++) {
        int    parent = f->parent[k];
        double own = -1;
        ot__mars_knots_updated(f->slot[parent].knots);
        for (int j = 0; j < f->p; j++) {
            const ot__mars_found *r = &f->found[(size_t)k * (size_t)f->p + (size_t)j];
            if (r->form && r->lin > best->gain) *best = (pick){parent, j, -1, r->form, r->lin};
            if (r->top > best->gain) *best = (pick){parent, j, r->cut, r->form, r->top};
            if (r->top > own) own = r->top;
        }
        f->entry[parent] = (entry){own, f->slots};
    }
    return OT_OK;
}

/* -- Adding terms -------------------------------------------------------------------------------------------------- */

static void add_column(forward *f, const double *b)
{
    size_t  n = (size_t)f->n;
    double *v = row(f->q, n, f->space.columns);
    memcpy(v, b, n * sizeof *v);
    for (int pass = 0; pass < 2; pass++)
        for (int c = 0; c < f->space.columns; c++) {
            const double *q = row(f->q, n, c);
            double        d = ot__dot(q, v, f->n);
            for (size_t i = 0; i < n; i++) v[i] -= d * q[i];
        }
    double length = sqrt(ot__dot(v, v, f->n));
    if (!(length > 1e-12 * sqrt(ot__dot(b, b, f->n)))) return;      /* it lies in the basis: nothing to add */
    for (size_t i = 0; i < n; i++) v[i] /= length;
    f->qy[f->space.columns] = ot__dot(v, f->y, f->n);
    f->space.columns++;
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
    int  terms = f->slots;
    pick best = {.parent = -1};
    f->legal = fmin(1.01 * f->rss, 10 * f->last);
    *more = 0;
    OT_TRY(try_parents(f, &best));
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
        double cut = ot__mars_knots_cut(f->slot[best.parent].knots, best.feature, best.cut);
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
    for (int t = 0; f->slot && t < f->slots; t++) ot__mars_knots_free(f->slot[t].knots);
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
    f->q = ot_alloc(room * n + room, sizeof *f->q);
    f->entry = ot_alloc(room, sizeof *f->entry);
    f->queue = ot_alloc(3 * room, sizeof *f->queue);
    f->found = ot_alloc(f->degree == 1 ? p : room * p, sizeof *f->found);
    f->scratch = ot_alloc((size_t)f->rows->threads * OT__MARS_SCRATCH * n, sizeof *f->scratch);
    if (!f->order || !f->sorted || !f->y || !f->slot || !f->b || !f->q || !f->entry || !f->queue || !f->found || !f->scratch)
        OT_FAIL(OT_E_NOMEM, "MARS: no memory for %d rows of %d features, %d terms", f->n, f->p, f->room);
    f->qy = f->q + room * n;
    f->work = f->queue + room;
    f->parent = f->work + room;
    OT_TRY(ot__sort_columns(f->order, f->sorted, f->rows));
    for (size_t j = 0; j < p; j++) {
        double *x = f->sorted + (p + j) * n;
        for (size_t i = 0; i < n; i++) x[i] = f->rows->x[i * p + j];
        double mean = ot__mean(x, f->n);
        for (size_t i = 0; i < n; i++) x[i] -= mean;
    }
    f->space = (ot__mars_space){.n = f->n, .p = f->p, .order = f->order, .sorted = f->sorted, .centred = f->sorted + p * n, .y = f->y, .q = f->q, .qy = f->qy};
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
