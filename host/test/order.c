/* order.c - columns in ascending order, once, for all the searches that walk along them: a merge sort of (value, row) pairs from the bottom
 * up, columns shared out among the threads. */
#include "test/learner.h"
#include "base/fail.h"

#include <string.h>

typedef struct pair { double x; int32_t row; } pair;

typedef struct sorting {
    int32_t        *order;
    double         *sorted;
    const ot__rows *rows;
    pair           *work;                   /* (threads, 2 n) */
} sorting;

static void merge(pair *to, const pair *a, const pair *a_end, const pair *b, const pair *b_end)
{
    while (a < a_end && b < b_end) *to++ = b->x < a->x ? *b++ : *a++;        /* stable: a came first */
    while (a < a_end) *to++ = *a++;
    while (b < b_end) *to++ = *b++;
}

/* Sorts from[n]; the result lies in from or in to. */
static const pair *sort(pair *from, pair *to, int n)
{
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t i = 0; i < n; i += 2 * run) {
            int64_t middle = i + run < n ? i + run : n, end = i + 2 * run < n ? i + 2 * run : n;
            merge(to + i, from + i, from + middle, from + middle, from + end);
        }
        pair *t = from;
        from = to;
        to = t;
    }
    return from;
}

static ot_status sort_share(void *user, int job)
{
    sorting        *s = user;
    const ot__rows *r = s->rows;
    size_t          n = (size_t)r->n;
    pair           *work = s->work + (size_t)job * 2 * n;
    for (int j = job; j < r->p; j += r->threads) {
        for (int i = 0; i < r->n; i++) work[i] = (pair){r->x[(size_t)i * (size_t)r->p + (size_t)j], i};
        const pair *done = sort(work, work + n, r->n);
        for (size_t i = 0; i < n; i++) {
            s->order[(size_t)j * n + i] = done[i].row;
            if (s->sorted) s->sorted[(size_t)j * n + i] = done[i].x;
        }
    }
    return OT_OK;
}

ot_status ot__sort_columns(int32_t *order, double *sorted, const ot__rows *rows)
{
    sorting s = {order, sorted, rows, ot_alloc((size_t)rows->threads * 2 * (size_t)rows->n, sizeof(pair))};
    if (!s.work) OT_FAIL(OT_E_NOMEM, "predictor: no memory to sort %d rows", rows->n);
    ot_status st = ot__pool_run(rows->pool, rows->threads, sort_share, &s);
    ot_free(s.work);
    return st;
}

double ot__dot(const double *a, const double *b, int n)
{
    double s[8] = {0}, tail = 0;
    int    i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) s[k] += a[i + k] * b[i + k];
    for (; i < n; i++) tail += a[i] * b[i];
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + tail;
}

double ot__mean(const double *a, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += a[i] - a[0];
    return a[0] + sum / n;                  /* exact where all are equal */
}
