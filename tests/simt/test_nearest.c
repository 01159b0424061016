/* test_nearest.c - nearest signatures: every version against plain loops, to the bit, in every order of threads. */
#include "check.h"
#include "control.h"
#include "kernels/kernels.h"

#include <cuda_runtime_api.h>
#include <float.h>
#include <math.h>
#include <string.h>

typedef struct problem {
    otk_metric metric;
    int64_t    N;
    int        length, queries;
    float     *rows, *query;
} problem;

static int problem_open(problem *p, otk_metric metric, int64_t N, int length, int queries)
{
    check_rng r = {(uint64_t)N * 1000 + (uint64_t)length};
    *p = (problem){.metric = metric, .N = N, .length = length, .queries = queries};
    if (cudaMalloc((void **)&p->rows, ((size_t)N * (size_t)length + 1) * sizeof(float))) return 0;
    if (cudaMalloc((void **)&p->query, ((size_t)queries * (size_t)length + 1) * sizeof(float))) return 0;
    check_fill_normal(&r, p->rows, (size_t)N * (size_t)length, 1);
    check_fill_normal(&r, p->query, (size_t)queries * (size_t)length, 1);
    return 1;
}

static void problem_close(problem *p)
{
    cudaFree(p->rows);
    cudaFree(p->query);
}

static int64_t plain(const problem *p, int query, float *distance)
{
    int64_t best = -1;
    *distance = INFINITY;
    for (int64_t r = 0; r < p->N; r++) {
        float sum = 0;
        for (int k = 0; k < p->length; k++) {
            float d = p->rows[r * p->length + k] - p->query[query * p->length + k];
            sum = p->metric == OTK_L1 ? sum + fabsf(d) : fmaf(d, d, sum);
        }
        if (sum < *distance || (best < 0 && sum == *distance)) best = r, *distance = sum;
    }
    return best;
}

/* All versions in three orders; what is written must be all there is. */
static int agrees(const problem *p)
{
    static const int orders[] = {SIMT_FORWARD, SIMT_REVERSE, SIMT_RANDOM + 3};
    int64_t *nearest;
    float   *distance, want_distance;
    void    *partial;
    int      ok = 1;
    size_t   bytes = otk_nearest_bytes(p->N, p->queries);
    if (cudaMalloc((void **)&nearest, (size_t)p->queries * sizeof *nearest) || cudaMalloc((void **)&distance, (size_t)p->queries * sizeof *distance)) return 0;
    for (int version = 0; version <= (p->metric == OTK_L1 ? 2 : 3); version++)
        for (int o = 0; o < 3; o++) {
            if (cudaMalloc(&partial, bytes)) return 0;     /* NaN anew, and not a byte more */
            memset(nearest, 0xff, (size_t)p->queries * sizeof *nearest);
            check_poison(distance, (size_t)p->queries);
            simt_order(orders[o]);
            int e = otk_nearest_by(version, p->metric, p->rows, p->N, p->length, p->query, p->queries, nearest, o == 1 ? NULL : distance, partial, NULL);
            if (e) printf("version %d: %s\n", version, simt_error());
            ok = ok && !e;
            for (int q = 0; q < p->queries && ok; q++) {
                int64_t want = plain(p, q, &want_distance);
                if (want == nearest[q] && (o == 1 || want_distance == distance[q])) continue;
                printf("version %d, %lld rows of %d, query %d: row %lld at %g, want %lld at %g\n", version, (long long)p->N, p->length, q, (long long)nearest[q],
                       (double)distance[q], (long long)want, (double)want_distance);
                ok = 0;
            }
            cudaFree(partial);
        }
    simt_order(SIMT_FORWARD);
    cudaFree(nearest);
    cudaFree(distance);
    return ok;
}

static const struct { otk_metric metric; const char *name; } metrics[] = {{OTK_L1, "l1"}, {OTK_L2, "l2"}};

TEST every_version_finds_the_row_of_plain_loops(otk_metric metric)
{
    static const struct { int64_t N; int length, queries; } sizes[] = {
        {1, 1, 1}, {300, 1, 5}, {1, 370, 2}, {2, 7, 3}, {31, 8, 2}, {127, 31, 4}, {128, 32, 3}, {129, 33, 65}, {255, 16, 2}, {256, 17, 64}, {300, 370, 9},
        {300, 7, 130}, {64, 15, 1}, {300, 64, 63}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        problem p;
        ASSERT(problem_open(&p, metric, sizes[i].N, sizes[i].length, sizes[i].queries));
        ASSERT(agrees(&p));
        problem_close(&p);
    }
    PASS();
}

TEST ties_go_to_the_lowest_row(otk_metric metric)
{
    for (int length = 1; length <= 33; length += 32) {
        problem p;
        ASSERT(problem_open(&p, metric, 300, length, 5));
        for (int r = 0; r < 300; r++)                     /* three different rows, each a hundred times */
            for (int k = 0; k < length; k++) p.rows[r * length + k] = (float)(r * 7 % 3) + 0.25f * (float)k;
        ASSERT(agrees(&p));
        memcpy(p.query, p.rows + length, (size_t)length * sizeof(float));
        ASSERT(agrees(&p));
        for (int i = 0; i < 300 * length; i++) p.rows[i] = 0.5f;
        ASSERT(agrees(&p));
        problem_close(&p);
    }
    PASS();
}

TEST what_is_not_finite_never_wins_over_what_is(otk_metric metric)
{
    problem p;
    ASSERT(problem_open(&p, metric, 290, 33, 4));
    for (int r = 0; r < 290; r += 2) p.rows[r * 33 + r % 33] = r % 3 ? NAN : INFINITY;
    ASSERT(agrees(&p));
    p.query[5] = NAN;                                     /* the first query is nowhere, the others are */
    ASSERT(agrees(&p));
    p.query[2 * 33 + 3] = INFINITY;
    ASSERT(agrees(&p));
    for (int i = 0; i < 290 * 33; i++) p.rows[i] = NAN;
    ASSERT(agrees(&p));
    p.rows[77 * 33] = INFINITY;                           /* one NaN less is not enough */
    ASSERT(agrees(&p));
    for (int k = 0; k < 33; k++) p.rows[77 * 33 + k] = INFINITY;
    ASSERT(agrees(&p));                                   /* infinitely far is nearer than nowhere */
    problem_close(&p);
    PASS();
}

/* What is hard for version 3: rows far from the origin and close together, numbers near the ends of float, signatures of microsiemens. */
TEST large_small_and_crowded_numbers_do_not_change_the_answer(double scale, double offset)
{
    problem p;
    ASSERT(problem_open(&p, OTK_L2, 300, 40, 7));
    for (int i = 0; i < 300 * 40; i++) p.rows[i] = (float)((double)p.rows[i] * scale + offset);
    for (int i = 0; i < 7 * 40; i++) p.query[i] = (float)((double)p.query[i] * scale + offset);
    ASSERT(agrees(&p));
    problem_close(&p);
    PASS();
}

TEST a_noisy_copy_is_found_among_thousands(void)
{
    problem   p;
    check_rng r = {5};
    int64_t   nearest[3];
    float     distance[3], want;
    void     *partial;
    ASSERT(problem_open(&p, OTK_L2, 9000, 20, 3));        /* version 3 by its own choice, two groups of tiles */
    for (int q = 0; q < 3; q++)
        for (int k = 0; k < 20; k++) p.query[q * 20 + k] = p.rows[(4321 + q * 2300) * 20 + k] + (float)(0.05 * check_normal(&r));
    ASSERT(!cudaMalloc(&partial, otk_nearest_bytes(9000, 3)));
    ASSERT_EQ(0, otk_nearest(OTK_L2, p.rows, 9000, 20, p.query, 3, nearest, distance, partial, NULL));
    for (int q = 0; q < 3; q++) {
        ASSERT_EQ(4321 + q * 2300, nearest[q]);
        ASSERT_EQ(nearest[q], plain(&p, q, &want));
        ASSERT(want == distance[q]);
    }
    cudaFree(partial);
    problem_close(&p);
    PASS();
}

TEST nothing_to_search_is_no_row(void)
{
    int64_t nearest[2] = {5, 5};
    float   distance[2] = {0}, query[2] = {1, 2};
    ASSERT_EQ(0u, otk_nearest_bytes(0, 2));
    ASSERT_EQ(0, otk_nearest(OTK_L2, NULL, 0, 1, query, 2, nearest, distance, NULL, NULL));
    ASSERT(nearest[0] == -1 && nearest[1] == -1 && isinf(distance[0]) && isinf(distance[1]));
    ASSERT_EQ(0, otk_nearest(OTK_L1, NULL, 0, 1, query, 0, NULL, NULL, NULL, NULL));
    PASS();
}

/* The first and last block of each launch at 10 million rows of 370: indices are wide enough (the memory is reserved, not filled). */
TEST ten_million_rows_fit_the_indices(otk_metric metric)
{
    const int64_t N = 10000000;
    float        *rows, *query, *distance;
    int64_t      *nearest;
    void         *partial;
    simt_sparse(1);
    ASSERT(!cudaMalloc((void **)&rows, (size_t)N * 370 * sizeof(float)));
    ASSERT(!cudaMalloc(&partial, otk_nearest_bytes(N, 64)));
    simt_sparse(0);
    ASSERT(!cudaMalloc((void **)&query, 64 * 370 * sizeof(float)));
    ASSERT(!cudaMalloc((void **)&nearest, 64 * sizeof *nearest));
    ASSERT(!cudaMalloc((void **)&distance, 64 * sizeof *distance));
    simt_blocks(SIMT_END_BLOCKS);
    int e = otk_nearest(metric, rows, N, 370, query, 64, nearest, distance, partial, NULL);
    simt_blocks(SIMT_ALL_BLOCKS);
    if (e) printf("%s\n", simt_error());
    ASSERT_EQ(0, e);
    cudaFree(rows), cudaFree(partial), cudaFree(query), cudaFree(nearest), cudaFree(distance);
    PASS();
}

SUITE(test_nearest)
{
    static const struct { const char *name; double scale, offset; } ranges[] = {
        {"near", 1e-3, 1}, {"close_together", 1e-6, 1}, {"far_away", 1, 1e6}, {"microsiemens", 1e-6, 1e-5}, {"squares_vanish", 1e-21, 0},
        {"nearly_nothing", 1e-30, 0}, {"squares_overflow", 1e19, 0}, {"some_squares_overflow", 1.5e18, 0}, {"huge", 1e37, 0}};
    for (int m = 0; m < 2; m++) {
        greatest_set_test_suffix(metrics[m].name);
        RUN_TESTp(every_version_finds_the_row_of_plain_loops, metrics[m].metric);
        RUN_TESTp(ties_go_to_the_lowest_row, metrics[m].metric);
        RUN_TESTp(what_is_not_finite_never_wins_over_what_is, metrics[m].metric);
        RUN_TESTp(ten_million_rows_fit_the_indices, metrics[m].metric);
    }
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        greatest_set_test_suffix(ranges[i].name);
        RUN_TESTp(large_small_and_crowded_numbers_do_not_change_the_answer, ranges[i].scale, ranges[i].offset);
    }
    RUN_TEST(a_noisy_copy_is_found_among_thousands);
    RUN_TEST(nothing_to_search_is_no_row);
}
