/* test_simt.c - the emulator that the CUDA kernels are tested on: does it run right kernels right, in every order, and refuse wrong ones
 * with a sentence that says where? */
#include "cases.h"
#include "check.h"
#include "control.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <string.h>

static const int orders[] = {SIMT_FORWARD, SIMT_REVERSE, SIMT_RANDOM, SIMT_RANDOM + 12345};
enum { ORDERS = sizeof orders / sizeof *orders };

static void *device(size_t bytes)
{
    void *p = NULL;
    return cudaMalloc(&p, bytes) == cudaSuccess ? p : NULL;
}

static int says(const char *words)
{
    const int ok = strstr(simt_error(), words) != NULL;
    if (!ok) printf("\n'%s' does not say '%s'\n", simt_error(), words);
    return ok;
}

TEST every_thread_of_every_block_runs_once(void)
{
    static const struct { case_dim grid, block; } rows[] = {{{1, 1, 1}, {32, 1, 1}}, {{3, 2, 2}, {8, 4, 2}}, {{2, 1, 5}, {1024, 1, 1}}, {{7, 1, 1}, {1, 1, 64}}, {{1, 9, 1}, {4, 8, 4}}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (int o = 0; o < ORDERS; o++) {
            const case_dim g = rows[k].grid, b = rows[k].block;
            const size_t   n = (size_t)g.x * g.y * g.z * b.x * b.y * b.z;
            uint32_t      *out = device(n * sizeof *out);
            simt_order(orders[o]);
            ASSERT_EQ(0, case_number(g, b, 0, out, NULL));
            for (size_t i = 0; i < n; i++) ASSERT_EQ(i + 1, out[i]);
            cudaFree(out);
        }
    simt_order(SIMT_FORWARD);
    PASS();
}

TEST launches_beyond_the_limits_are_refused(void)
{
    uint32_t *out = device(4096);
    static const struct { case_dim grid, block; size_t shared; const char *words; } rows[] = {
        {{0, 1, 1}, {32, 1, 1}, 0, "empty grid 0 x 1 x 1"},
        {{1, 1, 0}, {32, 1, 1}, 0, "empty grid"},
        {{1, 65536, 1}, {32, 1, 1}, 0, "want at most"},
        {{1, 1, 65536}, {32, 1, 1}, 0, "want at most"},
        {{0x80000000u, 1, 1}, {32, 1, 1}, 0, "want at most"},
        {{1, 1, 1}, {1025, 1, 1}, 0, "block 1025 x 1 x 1"},
        {{1, 1, 1}, {64, 32, 1}, 0, "block 64 x 32 x 1"},
        {{1, 1, 1}, {1, 1, 96}, 0, "z at most 64"},
        {{1, 1, 1}, {0, 1, 1}, 0, "want 1..1024 threads"},
        {{1, 1, 1}, {40, 1, 1}, 0, "want whole warps"},
        {{1, 1, 1}, {32, 1, 1}, 65537, "65537 bytes of dynamic shared memory"},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        simt_clear();
        ASSERT_EQ(cudaErrorInvalidConfiguration, case_number(rows[k].grid, rows[k].block, rows[k].shared, out, NULL));
        ASSERT(says(rows[k].words));
        ASSERT(says("cases.cu:"));
        ASSERT_EQ(cudaErrorInvalidConfiguration, cudaGetLastError());
        ASSERT_EQ(cudaSuccess, cudaGetLastError());
    }
    ASSERT_EQ(0xffffffffu, out[0]);
    ASSERT_EQ(0, case_number((case_dim){1, 1, 1}, (case_dim){32, 1, 1}, 65536, out, NULL));
    cudaFree(out);
    PASS();
}

TEST grids_alone_and_end_blocks(void)
{
    uint32_t *out = device(5 * 32 * 4);
    simt_blocks(SIMT_NO_BLOCKS);
    ASSERT_EQ(0, case_number((case_dim){0x7fffffffu, 65535, 65535}, (case_dim){32, 1, 1}, 0, out, NULL));
    ASSERT_EQ(cudaErrorInvalidConfiguration, case_number((case_dim){1, 1, 65536}, (case_dim){32, 1, 1}, 0, out, NULL));
    ASSERT_EQ(0xffffffffu, out[0]);
    simt_blocks(SIMT_END_BLOCKS);
    for (int o = 0; o < ORDERS; o++) {
        memset(out, 0xff, 5 * 32 * 4);
        simt_order(orders[o]);
        ASSERT_EQ(0, case_number((case_dim){5, 1, 1}, (case_dim){32, 1, 1}, 0, out, NULL));
        for (uint32_t i = 0; i < 5 * 32; i++) ASSERT_EQ(i < 32 || i >= 4 * 32 ? i + 1 : 0xffffffffu, out[i]);
    }
    simt_blocks(SIMT_ALL_BLOCKS);
    simt_order(SIMT_FORWARD);
    (void)cudaGetLastError();
    cudaFree(out);
    PASS();
}

/* A missing barrier must show in some order. */
TEST barriers_order_shared_memory(void)
{
    int *out = device(64 * sizeof *out), wrong = 0;
    for (int o = 0; o < ORDERS; o++) {
        simt_order(orders[o]);
        ASSERT_EQ(0, case_reverse(out, 1));
        for (int t = 0; t < 64; t++) ASSERT_EQ(63 - t, out[t]);
    }
#ifndef __SANITIZE_THREAD__
    for (int o = 0; o < ORDERS; o++) {
        simt_order(orders[o]);
        ASSERT_EQ(0, case_reverse(out, 0));
        for (int t = 0; t < 64; t++) wrong += out[t] != 63 - t;
    }
    ASSERT(wrong);
#endif
    (void)wrong;
    simt_order(SIMT_FORWARD);
    cudaFree(out);
    PASS();
}

TEST shared_memory_is_nan_in_every_block(void)
{
    uint32_t *out = device(3 * 64 * 2 * sizeof *out);
    for (int o = 0; o < ORDERS; o++) {
        simt_order(orders[o]);
        ASSERT_EQ(0, case_shared_is_new(3, out));
        for (int i = 0; i < 3 * 64 * 2; i++) ASSERT_EQ(0xffffffffu, out[i]);
    }
    simt_order(SIMT_FORWARD);
    cudaFree(out);
    PASS();
}

TEST ended_threads_do_not_count(void)
{
    int *out = device(64 * sizeof *out);
    for (int o = 0; o < ORDERS; o++) {
        simt_order(orders[o]);
        ASSERT_EQ(0, case_early_exit(out));
        for (int t = 0; t < 32; t++) ASSERT_EQ(62 - 2 * t, out[t]);
        ASSERT_EQ(0, case_ends_then_sum(out));
        for (int t = 0; t < 20; t++) ASSERT_EQ(0xfffff, out[t]);
    }
    simt_order(SIMT_FORWARD);
    cudaFree(out);
    PASS();
}

TEST warp_operations_are_right_in_every_order(void)
{
    int *out = device(128 * 5 * sizeof *out);
    for (int o = 0; o < ORDERS; o++) {
        simt_order(orders[o]);
        memset(out, 0xff, 128 * 5 * sizeof *out);
        ASSERT_EQ(0, case_warp(128, out));
        for (int t = 0; t < 128; t++) {
            const int lane = t % 32, first = t - lane, *own = out + 5 * t;
            ASSERT_EQ(32 * first + 31 * 16, own[0]);
            ASSERT_EQ(lane < 31 ? t + 1 : t, own[1]);
            ASSERT_EQ(lane > 1 ? t - 2 : t, own[2]);
            ASSERT_EQ(first + 3, own[3]);
            ASSERT_EQ((int)0xaaaaaaaau, own[4]);
        }
        ASSERT_EQ(0, case_half_warp(out));
        for (int t = 0; t < 32; t++) ASSERT_EQ(t < 16 ? 120 : 376, out[t]);
    }
    simt_order(SIMT_FORWARD);
    cudaFree(out);
    PASS();
}

TEST wrong_kernels_are_refused(void)
{
    static const struct { int which; const char *words[3]; } rows[] = {
        {WRONG_DIVERGENT, {"divergent barrier: threads of one block meet at cases.cu:", " and cases.cu:", "cases.cu"}},
        {WRONG_DEADLOCK, {"deadlock:", "1 threads in a warp operation at cases.cu:", "63 threads in __syncthreads at cases.cu:"}},
        {WRONG_LANE, {"__shfl_sync reads lane 25, which takes no part", "cases.cu:", "lane"}},
        {WRONG_OVERLAP, {"masks", "of one warp overlap", "cases.cu:"}},
        {WRONG_OUTSIDE, {"which is not in its mask 0000ffff", "__syncwarp", "cases.cu:"}},
        {WRONG_OPERATION, {"lanes of one warp meet at", "__ballot_sync", "__shfl_sync"}},
        {WRONG_MISSING, {"deadlock:", "62 threads in a warp operation", "2 threads in __syncthreads"}},
    };
    int *out = device(64 * 5 * sizeof *out);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (int o = 0; o < ORDERS; o++) {
            simt_clear();
            simt_order(orders[o]);
            const int e = case_wrong(rows[k].which, out);
            if (!e) printf("\nwrong kernel %d runs in order %d\n", rows[k].which, o);
            ASSERT_EQ(cudaErrorLaunchFailure, e);
            for (int w = 0; w < 3; w++) ASSERT(says(rows[k].words[w]));
            ASSERT_EQ(cudaErrorLaunchFailure, cudaGetLastError());
            ASSERT_EQ(0, case_reverse(out, 1));                 /* the engine goes on */
            for (int t = 0; t < 64; t++) ASSERT_EQ(63 - t, out[t]);
            ASSERT_EQ(0, case_warp(64, out));
        }
    simt_order(SIMT_FORWARD);
    simt_clear();
    cudaFree(out);
    PASS();
}

TEST atomics_count(void)
{
    int *counters = device(3 * sizeof *counters);
    for (int o = 0; o < ORDERS; o++) {
        simt_order(orders[o]);
        memset(counters, 0, 3 * sizeof *counters);
        ASSERT_EQ(0, case_count(5, counters, NULL));
        ASSERT_EQ(320, counters[0]);
        ASSERT_EQ(319, counters[1]);
        ASSERT_EQ(31, counters[2]);
    }
    simt_order(SIMT_FORWARD);
    cudaFree(counters);
    PASS();
}

TEST halves_convert_exactly(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = case_half_to_float((uint16_t)h);
        const int   e = (int)(h >> 10 & 31), m = (int)(h & 1023);
        if (e == 31 && m) {
            ASSERT(isnan(f));
            ASSERT(isnan(case_half_to_float(case_float_to_half(f))));
            continue;
        }
        const double want = (e == 31 ? (double)INFINITY : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24)) * (h >> 15 ? -1 : 1);
        ASSERT(want == (double)f && !signbit(want) == !signbit(f));
        ASSERT_EQ(h, case_float_to_half(f));
        if (e == 31 || h == 0x7bff || h == 0xfbff) continue;
        /* Halfway to the next one: to even; a hair beside it: to the nearer. */
        const float next = case_half_to_float((uint16_t)(h + 1)), middle = (float)(((double)f + (double)next) / 2);
        ASSERT_EQ(h + (h & 1), case_float_to_half(middle));
        ASSERT_EQ(h, case_float_to_half(nextafterf(middle, f)));
        ASSERT_EQ(h + 1, case_float_to_half(nextafterf(middle, next)));
    }
    static const struct { float f; uint16_t h; } rows[] = {{0, 0}, {-0.0f, 0x8000}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff}, {65519.996f, 0x7bff}, {65520, 0x7c00},
        {1e30f, 0x7c00}, {-1e30f, 0xfc00}, {0x1p-24f, 1}, {0x1p-25f, 0}, {0x1.000002p-25f, 1}, {0x1.8p-24f, 2}, {0x1p-14f, 0x400}, {0x1.ff8p-15f, 0x3ff}, {0x1.ffbp-15f, 0x3ff}, {0x1.ffcp-15f, 0x400},
        {1e-30f, 0}, {-1e-30f, 0x8000}, {0.1f, 0x2e66}, {3.14159274f, 0x4248}, {1e-45f, 0}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) ASSERT_EQ_FMT(rows[k].h, case_float_to_half(rows[k].f), "%x");
    PASS();
}

TEST graphs_run_what_was_captured(void)
{
    cudaStream_t    s;
    cudaGraph_t     g;
    cudaGraphExec_t e;
    const int64_t   before = simt_live();
    int            *counters = device(3 * sizeof *counters), host[3] = {0, 0, 0};
    void           *none = NULL;
    memset(counters, 0, 3 * sizeof *counters);
    ASSERT_EQ(cudaSuccess, cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    ASSERT_EQ(cudaSuccess, cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
    ASSERT_EQ(0, case_count(2, counters, s));
    ASSERT_EQ(cudaSuccess, cudaMemcpyAsync(host, counters, sizeof host, cudaMemcpyDeviceToHost, s));
    ASSERT_EQ(cudaErrorStreamCaptureUnsupported, cudaMalloc(&none, 4));         /* a graph cannot hold it */
    ASSERT_EQ(cudaErrorStreamCaptureUnsupported, cudaStreamSynchronize(s));
    ASSERT_EQ(cudaSuccess, cudaStreamEndCapture(s, &g));
    ASSERT_EQ(0, counters[0]);
    ASSERT_EQ(cudaSuccess, cudaGraphInstantiate(&e, g, 0));
    ASSERT_EQ(cudaSuccess, cudaGraphDestroy(g));
    for (int k = 1; k <= 3; k++) {
        ASSERT_EQ(cudaSuccess, cudaGraphLaunch(e, s));
        ASSERT_EQ(128 * k, host[0]);
    }
    ASSERT_EQ(cudaSuccess, cudaGraphExecDestroy(e));
    ASSERT_EQ(cudaSuccess, cudaStreamDestroy(s));
    ASSERT_EQ(cudaSuccess, cudaFree(counters));
    ASSERT_EQ(before, simt_live());
    (void)cudaGetLastError();
    PASS();
}

TEST a_kernel_that_fails_fails_its_graph(void)
{
    cudaStream_t    s;
    cudaGraph_t     g;
    cudaGraphExec_t e;
    int            *out = device(64 * sizeof *out);
    ASSERT_EQ(cudaSuccess, cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    ASSERT_EQ(cudaSuccess, cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    ASSERT_EQ(0, case_wrong(WRONG_DIVERGENT, out));
    ASSERT_EQ(cudaSuccess, cudaStreamEndCapture(s, &g));
    ASSERT_EQ(cudaSuccess, cudaGraphInstantiate(&e, g, 0));
    ASSERT_EQ(cudaErrorLaunchFailure, cudaGraphLaunch(e, s));
    ASSERT_EQ(cudaErrorLaunchFailure, cudaGetLastError());
    cudaGraphExecDestroy(e);
    cudaGraphDestroy(g);
    cudaStreamDestroy(s);
    cudaFree(out);
    PASS();
}

TEST memory_is_nan_and_counted(void)
{
    const int64_t before = simt_live();
    float        *p = device(1000 * sizeof *p);
    void         *q = NULL;
    size_t        free_bytes, total;
    ASSERT_EQ(before + 1, simt_live());
    ASSERT_EQ(0u, (uintptr_t)p % 256);
    for (int i = 0; i < 1000; i++) ASSERT(isnan(p[i]));
    ASSERT_EQ(cudaSuccess, cudaMemsetAsync(p, 0, 1000 * sizeof *p, NULL));
    for (int i = 0; i < 1000; i++) ASSERT(p[i] == 0);
    simt_memory(1 << 20);
    ASSERT_EQ(cudaSuccess, cudaMemGetInfo(&free_bytes, &total));
    ASSERT_EQ((size_t)1 << 20, total);
    ASSERT_GTE(total - 1000 * sizeof *p, free_bytes);
    ASSERT_EQ(cudaErrorMemoryAllocation, cudaMalloc(&q, (1 << 20) - 3999));
    ASSERT(q == NULL);
    ASSERT_EQ(cudaErrorMemoryAllocation, cudaGetLastError());
    simt_memory(0);
    ASSERT_EQ(cudaSuccess, cudaFree(p));
    ASSERT_EQ(cudaSuccess, cudaFree(NULL));
    ASSERT_EQ(cudaErrorInvalidValue, cudaFree(&free_bytes));
    ASSERT_EQ(before, simt_live());
    (void)cudaGetLastError();
    PASS();
}

#ifndef __SANITIZE_THREAD__
TEST sparse_memory_is_larger_than_the_machine(void)
{
    const size_t bytes = (size_t)1 << 40;
    char        *p;
    simt_sparse(1);
    p = device(bytes);
    simt_sparse(0);
    if (!p) SKIPm("no address space for a tebibyte");
    p[0] = 1, p[bytes - 1] = 2;
    ASSERT_EQ(0, p[bytes / 2]);
    ASSERT_EQ(cudaSuccess, cudaFree(p));
    PASS();
}
#endif

TEST the_nth_call_fails_once(void)
{
    int *counters = device(3 * sizeof *counters);
    memset(counters, 0, 3 * sizeof *counters);
    for (int n = 1; n <= 4; n++) {
        void *p[3] = {NULL, NULL, NULL};
        int   failed = 0;
        const int64_t before = simt_live(), calls = simt_calls();
        simt_fail_call(n, cudaErrorMemoryAllocation);
        failed += (cudaMalloc(&p[0], 8) != cudaSuccess) << 0;
        failed += (cudaMalloc(&p[1], 8) != cudaSuccess) << 1;
        failed += (case_count(1, counters, NULL) != cudaSuccess) << 2;
        failed += (cudaMalloc(&p[2], 8) != cudaSuccess) << 3;
        ASSERT_EQ(1 << (n - 1), failed);
        ASSERT_EQ(calls + 4, simt_calls());
        ASSERT_EQ(cudaErrorMemoryAllocation, cudaGetLastError());
        ASSERT_EQ(cudaSuccess, cudaGetLastError());
        for (int k = 0; k < 3; k++) ASSERT_EQ(cudaSuccess, cudaFree(p[k]));
        ASSERT_EQ(before, simt_live());
    }
    ASSERT_EQ(3 * 64, counters[0]);
    simt_fail_call(1, cudaErrorUnknown);
    simt_fail_call(0, 0);
    ASSERT_EQ(0, case_count(1, counters, NULL));
    cudaFree(counters);
    PASS();
}

TEST devices_are_what_tests_say(void)
{
    int                   n = -1, v = 0;
    struct cudaDeviceProp p;
    simt_device(0, 7, 0, 13000);
    ASSERT_EQ(cudaErrorNoDevice, cudaGetDeviceCount(&n));
    ASSERT_EQ(0, n);
    simt_device(1, 7, 0, 11000);
    ASSERT_EQ(cudaErrorInsufficientDriver, cudaGetDeviceCount(&n));
    simt_device(2, 7, 5, 13000);
    ASSERT_EQ(cudaSuccess, cudaGetDeviceCount(&n));
    ASSERT_EQ(2, n);
    ASSERT_EQ(cudaSuccess, cudaGetDeviceProperties(&p, 0));
    ASSERT_EQ(75, p.major * 10 + p.minor);
    ASSERT_EQ(cudaSuccess, cudaDeviceGetAttribute(&v, cudaDevAttrComputeCapabilityMinor, 0));
    ASSERT_EQ(5, v);
    ASSERT_EQ(cudaErrorInvalidDevice, cudaSetDevice(2));
    simt_device(1, 9, 0, 13000);
    (void)cudaGetLastError();
    PASS();
}

SUITE(test_simt)
{
    RUN_TEST(every_thread_of_every_block_runs_once);
    RUN_TEST(launches_beyond_the_limits_are_refused);
    RUN_TEST(grids_alone_and_end_blocks);
    RUN_TEST(barriers_order_shared_memory);
    RUN_TEST(shared_memory_is_nan_in_every_block);
    RUN_TEST(ended_threads_do_not_count);
    RUN_TEST(warp_operations_are_right_in_every_order);
    RUN_TEST(wrong_kernels_are_refused);
    RUN_TEST(atomics_count);
    RUN_TEST(halves_convert_exactly);
    RUN_TEST(graphs_run_what_was_captured);
    RUN_TEST(a_kernel_that_fails_fails_its_graph);
    RUN_TEST(memory_is_nan_and_counted);
#ifndef __SANITIZE_THREAD__
    RUN_TEST(sparse_memory_is_larger_than_the_machine);
#endif
    RUN_TEST(the_nth_call_fails_once);
    RUN_TEST(devices_are_what_tests_say);
}
