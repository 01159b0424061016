/* mcd.c - FAST-MCD (Rousseeuw and Van Driessen 1999, with the numbers of starts of scikit-learn 1.2): of all subsets of h rows the one
 * whose covariance has the least determinant, searched by C-steps from random subsets.
 *
 *     C-step      mean and covariance of the subset; distances of all rows; the h nearest are the next subset: det never grows
 *     n <= 500    30 random subsets, 2 C-steps each; the best 10 go on to the end
 *     n > 500     parts of about 300 rows, 500 / parts starts in each, the 10 best of each go on in a merged set of up to 1500 rows; the best
 *                 10 of those on all rows where the merged set is not all
 *     p = 1       the window of h sorted values with the least variance: exact, no starts
 *
 * Then the distances of the best subset are scaled so that their median is chi-square's, rows beyond its 97.5 % quantile are left out,
 * and mean and covariance of the rest are the result.
 *
 * A random half holds its share of the bad rows, and a tight clump of them (tighter than the normal rows) can have the least determinant of all:
 * that is MCD's own limit, not the search's (the regularised MCD with 3/4 of the rows is harder to fool that way).
 *
 * Exact fit: h rows or more may lie on a hyperplane (a constant number, one that repeats another); then the least determinant is 0 and
 * the covariance has no inverse.  A covariance whose factor loses 12 digits at a pivot gets 1e-10 of each number's variance over all
 * rows added to its diagonal: rows on the plane keep ordinary distances, rows off it by more than a few 1e-5 of a standard deviation
 * become outliers, which is what an exact relation among normal chips says.  log det is reported as -infinity then. */
#include "test/scatter.h"
#include "base/fail.h"
#include "test/shuffle.h"

#include <math.h>
#include <string.h>

enum { SMALL = 500, PART = 300, MERGED = 1500, STARTS = 30, KEPT = 10, FIRST_STEPS = 2, STEPS = 30 };
static const double PIVOT = 1e-12, RIDGE = 1e-10;

/* Rows that C-steps run on, and their scratch. */
typedef struct set {
    int         n, p, singular;            /* the subset evaluated last is on a hyperplane */
    double     *x, *xt;                    /* (n, p) and (p, n) */
    double     *mean, *u, *d;              /* (p), (p, p), (n): of the subset evaluated last */
    double     *work;                      /* (n, p) */
    double     *ridge;                     /* (p), borrowed */
    int        *next;                      /* (n) */
    ot__ranked *ranked;                    /* (n) */
} set;

static void close_set(set *s)
{
    ot_free(s->ranked);
    ot_free(s->next);
    ot_free(s->x);
    *s = (set){0};
}

/* Copies rows of x. */
static ot_status open_set(set *s, const double *x, const int *row, int n, int p, double *ridge)
{
    size_t np = (size_t)n * (size_t)p, pp = (size_t)p * (size_t)p;
    *s = (set){.n = n, .p = p, .ridge = ridge};
    s->x = ot_alloc(3 * np + pp + (size_t)p + (size_t)n, sizeof *s->x);
    s->next = ot_alloc((size_t)n, sizeof *s->next);
    s->ranked = ot_alloc((size_t)n, sizeof *s->ranked);
    if (!s->x || !s->next || !s->ranked) {
        close_set(s);
        OT_FAIL(OT_E_NOMEM, "mcd: no memory for %d rows of %d numbers", n, p);
    }
    s->xt = s->x + np, s->work = s->xt + np, s->u = s->work + np, s->mean = s->u + pp, s->d = s->mean + p;
    for (int i = 0; i < n; i++) memcpy(s->x + (size_t)i * (size_t)p, x + (size_t)(row ? row[i] : i) * (size_t)p, (size_t)p * sizeof *x);
    ot__transpose(s->xt, s->x, n, p);
    return OT_OK;
}

/* Mean and factor of a subset; gives its log det. */
static double evaluate(set *s, const int *row, int h)
{
    int p = s->p;
    ot__mean_covariance(s->mean, s->u, s->x, row, h, p, h, s->work);
    s->singular = ot__cholesky(s->u, p, PIVOT) >= 0;
    if (s->singular) {
        ot__mean_covariance(s->mean, s->u, s->x, row, h, p, h, s->work);
        for (int k = 0; k < p; k++) s->u[(size_t)k * ((size_t)p + 1)] += s->ridge[k];
        ot__cholesky(s->u, p, 0);                      /* cannot fail: rounding is 1e-16 of the diagonal, the ridge 1e-10 */
    }
    return ot__log_det(s->u, p);
}

static void distances(set *s) { ot__distances_of(s->d, s->xt, s->n, s->p, s->mean, s->u, s->work); }

/* C-steps from row[0..h-1] while the determinant falls, `most` of them; row becomes the last subset.  Gives its log det. */
static double c_steps(set *s, int *row, int h, int most)
{
    double log_det = evaluate(s, row, h);
    for (int step = 0; step < most; step++) {
        distances(s);
        ot__smallest(s->next, s->d, s->n, h, s->ranked);
        if (!memcmp(s->next, row, (size_t)h * sizeof *row)) break;
        double now = evaluate(s, s->next, h);
        if (!(now < log_det)) break;
        memcpy(row, s->next, (size_t)h * sizeof *row);
        log_det = now;
    }
    return log_det;
}

/* The best few subsets, best first; of equals the one found first. */
typedef struct shelf { int n, room, h; double *log_det; int *row; } shelf;

static ot_status open_shelf(shelf *b, int room, int h)
{
    *b = (shelf){.room = room, .h = h};
    b->log_det = ot_alloc((size_t)room, sizeof *b->log_det);
    b->row = ot_alloc((size_t)room * (size_t)h, sizeof *b->row);
    if (!b->log_det || !b->row) OT_FAIL(OT_E_NOMEM, "mcd: no memory for %d subsets of %d rows", room, h);
    return OT_OK;
}

static void close_shelf(shelf *b)
{
    ot_free(b->row);
    ot_free(b->log_det);
}

static int *subset(const shelf *b, int i) { return b->row + (size_t)i * (size_t)b->h; }

static void put(shelf *b, const int *row, double log_det)
{
    size_t bytes = (size_t)b->h * sizeof *row;
    for (int i = 0; i < b->n; i++)
        if (b->log_det[i] == log_det && !memcmp(subset(b, i), row, bytes)) return;
    int to = b->n < b->room ? b->n++ : b->room;
    while (to > 0 && log_det < b->log_det[to - 1]) {
        if (to < b->room) {
            b->log_det[to] = b->log_det[to - 1];
            memcpy(subset(b, to), subset(b, to - 1), bytes);
        }
        to--;
    }
    if (to == b->room) return;
    b->log_det[to] = log_det;
    memcpy(subset(b, to), row, bytes);
}

/* Random subsets of h of the set's rows, two C-steps each. */
static void random_starts(set *s, shelf *best, int starts, uint64_t seed, uint32_t stream, uint32_t *turn, uint32_t *order, int *row)
{
    for (int t = 0; t < starts; t++) {
        for (int i = 0; i < s->n; i++) s->d[i] = 1;
        for (uint32_t i = 0; i < (uint32_t)s->n; i++) order[i] = i;
        ot__shuffle(order, (uint32_t)s->n, seed, OT__SHUFFLE_SCREEN_STARTS + stream, (*turn)++);
        for (int i = 0; i < best->h; i++) s->d[order[i]] = 0;
        ot__smallest(row, s->d, s->n, best->h, s->ranked);             /* ascending */
        double log_det = c_steps(s, row, best->h, FIRST_STEPS);
        put(best, row, log_det);
    }
}

/* Mean and covariance of from's rows, then the h of the set's rows that are nearest: how a subset moves to another set. */
static double move(set *to, int *row, int h, set *from, const int *from_row, int from_h)
{
    evaluate(from, from_row, from_h);
    memcpy(to->mean, from->mean, (size_t)to->p * sizeof *to->mean);
    memcpy(to->u, from->u, (size_t)to->p * (size_t)to->p * sizeof *to->u);
    distances(to);
    ot__smallest(row, to->d, to->n, h, to->ranked);
    return c_steps(to, row, h, STEPS);
}

int ot__mcd_subset(int n, int p, double support)
{
    int h = support > 0 ? (int)(support * n) : (n + p + 2) / 2;        /* ceil((n + p + 1) / 2) */
    return h < n ? h : n;
}

/* How many rows of part `k` of `parts`. */
static int part_size(int n, int parts, int k) { return n / parts + (k < n % parts); }
static int share(int size, int h, int n) { return (int)(((int64_t)size * h + n - 1) / n); }      /* ceil */

int ot__mcd_least_subset(int n, int p, double support)
{
    int h = ot__mcd_subset(n, p, support);
    return n <= SMALL ? h : share(n / (n / PART), h, n);
}

static ot_status search_small(set *all, shelf *best, uint64_t seed, uint32_t stream, uint32_t *order, int *row)
{
    uint32_t  turn = 0;
    shelf     some;
    ot_status st = open_shelf(&some, KEPT, best->h);
    if (st == OT_OK) random_starts(all, &some, STARTS, seed, stream, &turn, order, row);
    for (int i = 0; i < some.n; i++) {
        memcpy(row, subset(&some, i), (size_t)best->h * sizeof *row);
        double log_det = c_steps(all, row, best->h, STEPS);
        put(best, row, log_det);
    }
    close_shelf(&some);
    return st;
}

/* One part: its starts, and the best of them moved to the merged set. */
static ot_status search_part(const set *all, set *merged, shelf *found, const int *member, int size, int h, int starts, uint64_t seed, uint32_t stream,
                             uint32_t *turn, uint32_t *order, int *row)
{
    set       part = {0};
    shelf     some = {0};
    int       h_part = share(size, h, all->n);
    ot_status st;
    OT_TRY_TO(done, st, open_set(&part, all->x, member, size, all->p, all->ridge));
    OT_TRY_TO(done, st, open_shelf(&some, KEPT, h_part));
    random_starts(&part, &some, starts, seed, stream, turn, order, row);
    for (int i = 0; i < some.n; i++) {
        double log_det = move(merged, row, found->h, &part, subset(&some, i), h_part);
        put(found, row, log_det);
    }
done:
    close_shelf(&some);
    close_set(&part);
    return st;
}

static ot_status search_large(set *all, shelf *best, uint64_t seed, uint32_t stream, uint32_t *order, int *row)
{
    int       n = all->n, h = best->h, parts = n / PART, n_merged = n < MERGED ? n : MERGED, starts = 500 / parts;
    uint32_t  turn = 0;
    set       merged = {0};
    shelf     found = {0};
    ot_status st;
    int      *shuffled = ot_alloc((size_t)n, sizeof *shuffled);
    if (!shuffled) OT_NOMEM("mcd", (size_t)n * sizeof *shuffled);
    if (starts < KEPT) starts = KEPT;
    for (uint32_t i = 0; i < (uint32_t)n; i++) order[i] = i;
    ot__shuffle(order, (uint32_t)n, seed, OT__SHUFFLE_SCREEN_STARTS + stream, turn++);
    for (int i = 0; i < n; i++) shuffled[i] = (int)order[i];
    /* the merged set: the first rows of another order */
    ot__shuffle(order, (uint32_t)n, seed, OT__SHUFFLE_SCREEN_STARTS + stream, turn++);
    for (int i = 0; i < n_merged; i++) row[i] = n_merged < n ? (int)order[i] : i;
    OT_TRY_TO(done, st, open_set(&merged, all->x, row, n_merged, all->p, all->ridge));
    OT_TRY_TO(done, st, open_shelf(&found, KEPT, share(n_merged, h, n)));
    for (int k = 0, at = 0; k < parts; at += part_size(n, parts, k++))
        OT_TRY_TO(done, st, search_part(all, &merged, &found, shuffled + at, part_size(n, parts, k), h, starts, seed, stream, &turn, order, row));
    for (int i = 0; i < found.n; i++) {
        double log_det;
        if (n_merged == n) {
            memcpy(row, subset(&found, i), (size_t)h * sizeof *row);
            log_det = found.log_det[i];
        } else
            log_det = move(all, row, h, &merged, subset(&found, i), found.h);
        put(best, row, log_det);
    }
done:
    close_shelf(&found);
    close_set(&merged);
    ot_free(shuffled);
    return st;
}

/* One number a row: the best subset is a run of the sorted values; sums of the run are carried along, from the median for their digits. */
static void search_line(const set *s, shelf *best, int *row)
{
    int    n = s->n, h = best->h, at = 0;
    double sum = 0, square = 0, least = INFINITY;
    for (int i = 0; i < n; i++) s->ranked[i].value = s->x[i], s->ranked[i].row = i;
    ot__smallest(row, s->x, n, n, s->ranked);                          /* sorts s->ranked */
    double middle = s->ranked[n / 2].value;
    for (int i = 0; i < n; i++) {
        double v = s->ranked[i].value - middle;
        sum += v, square += v * v;
        if (i >= h) {
            double gone = s->ranked[i - h].value - middle;
            sum -= gone, square -= gone * gone;
        }
        if (i >= h - 1 && square - sum * sum / h < least) {
            least = square - sum * sum / h;
            at = i - h + 1;
        }
    }
    for (int i = 0; i < n; i++) s->d[i] = 1;
    for (int i = 0; i < h; i++) s->d[s->ranked[at + i].row] = 0;
    ot__smallest(row, s->d, n, h, s->ranked);
    put(best, row, least);
}

/* Scale, leave out what is far, and estimate from the rest. */
static void reweight(set *s, int *row)
{
    int    n = s->n, p = s->p, kept = 0;
    double far = ot__chi2_quantile(0.975, p);
    distances(s);
    memcpy(s->work, s->d, (size_t)n * sizeof *s->d);
    ot__sort(s->work, n);
    double scale = ot__median(s->work, n) / ot__chi2_quantile(0.5, p);
    for (int i = 0; i < n; i++)
        if (s->d[i] < far * scale || scale == 0) row[kept++] = i;
    evaluate(s, row, kept);
}

ot_status ot__mcd(ot__scatter *out, const double *x, int n, int p, double support, uint64_t seed, uint32_t stream)
{
    set       all = {0};
    shelf     best = {0};
    ot_status st;
    int       h = ot__mcd_subset(n, p, support);
    double    mean_ridge = 0;
    uint32_t *order = ot_alloc((size_t)n, sizeof *order);
    int      *row = ot_alloc((size_t)n, sizeof *row);
    double   *ridge = ot_alloc((size_t)p, sizeof *ridge);
    if (!order || !row || !ridge) OT_FAIL_TO(done, st, OT_E_NOMEM, "mcd: no memory for %d rows", n);
    OT_TRY_TO(done, st, open_set(&all, x, NULL, n, p, ridge));
    OT_TRY_TO(done, st, open_shelf(&best, 1, h));
    for (int i = 0; i < n; i++) row[i] = i;
    ot__mean_covariance(all.mean, all.u, x, row, n, p, n, all.work);
    for (int k = 0; k < p; k++) mean_ridge += (ridge[k] = RIDGE * all.u[(size_t)k * ((size_t)p + 1)]) / p;
    if (!(mean_ridge > 0)) OT_FAIL_TO(done, st, OT_E_DATA, "mcd: all %d rows are equal, want some spread", n);
    for (int k = 0; k < p; k++)
        if (ridge[k] < 1e-20 * mean_ridge) ridge[k] = mean_ridge;      /* a constant number: it has no scale of its own */
    if (h == n) put(&best, row, evaluate(&all, row, n));
    else if (p == 1) search_line(&all, &best, row);
    else if (n <= SMALL) st = search_small(&all, &best, seed, stream, order, row);
    else st = search_large(&all, &best, seed, stream, order, row);
    if (st != OT_OK) goto done;
    out->h = h;
    out->rho = 0;
    out->log_det = evaluate(&all, best.row, h);
    if (all.singular) out->log_det = -INFINITY;
    if (out->best) memcpy(out->best, best.row, (size_t)h * sizeof *row);
    reweight(&all, row);
    memcpy(out->centre, all.mean, (size_t)p * sizeof *all.mean);
    ot__factor_lower(out->factor, all.u, p);
done:
    close_shelf(&best);
    close_set(&all);
    ot_free(ridge);
    ot_free(row);
    ot_free(order);
    return st;
}

ot_status ot__mcd_trace(int *count, int *rows, double *mean, double *cov, double *log_det, double *d, const double *x, int n, int p, int h, int most)
{
    set    s;
    size_t pp = (size_t)p * (size_t)p;
    double *ridge = ot_alloc((size_t)p, sizeof *ridge);
    if (!ridge) OT_NOMEM("mcd", (size_t)p * sizeof *ridge);
    ot_status st = open_set(&s, x, NULL, n, p, ridge);
    for (int k = 0; st == OT_OK; k++) {
        int *row = rows + (size_t)k * (size_t)h;
        log_det[k] = evaluate(&s, row, h);
        distances(&s);
        memcpy(mean + (size_t)k * (size_t)p, s.mean, (size_t)p * sizeof *mean);
        memcpy(d + (size_t)k * (size_t)n, s.d, (size_t)n * sizeof *d);
        ot__mean_covariance(s.mean, cov + (size_t)k * pp, x, row, h, p, h, s.work);
        *count = k + 1;
        if (k == most) break;
        ot__smallest(row + h, s.d, n, h, s.ranked);
        if (!memcmp(row + h, row, (size_t)h * sizeof *row)) break;
    }
    if (st == OT_OK) close_set(&s);
    ot_free(ridge);
    return st;
}
