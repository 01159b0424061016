/* test_libs.c - cuBLAS and cuDNN in the cuda backend, on their stand-ins (libs.cpp): who is chosen, how that is written down and read
 * back, what is said when something is missing or fails.  That numbers are right is test_backend.c's rows with "+libs=". */
#include "backend/cuda.h"
#include "backend_cases.h"
#include "check.h"
#include "control.h"

#include <stdlib.h>
#include <string.h>

/* A 3 x 3 convolution, 8 to 12 channels on 6 x 6 pixels, with T-ReLU; or a 1 x 1 one. */
typedef struct step_of { ot_step step; ot_layer layer, relu; } step_of;

static void make(step_of *s, int k, int number, int uneven)
{
    *s = (step_of){0};
    s->layer = (ot_layer){.op = OT_OP_CONV, .name = "conv", .in = {0, -1}, .c = 12, .h = 6, .w = 6, .in_c = 8, .groups = 1, .kh = k, .kw = k, .sh = 1, .sw = 1,
                          .pt = k / 2, .pl = uneven ? 0 : k / 2, .pb = k / 2, .pr = k / 2, .crossbar = number, .relu = -1};
    s->relu = (ot_layer){.op = OT_OP_RELU, .name = "relu", .c = 12, .h = 6, .w = 6, .in_c = 12, .crossbar = -1, .relu = 0, .clip = INFINITY};
    s->step = (ot_step){.kind = OT_STEP_CONV, .layer = &s->layer, .relu = &s->relu, .in = {8, 6, 6}, .out = {12, 6, 6}, .src = 1, .res = -1, .dst = 2};
    if (uneven) s->layer.pr = k - 1;
}

/* One step's life on a backend of this flavour: forward, and backward where `use` wants it.  `algorithm` (128 bytes, or NULL). */
static ot_status life(const char *flavour, step_of *s, ot_plan_use use, char *algorithm)
{
    const ot_backend_i *i = &ot__backend_cuda;
    ot_plan_options opt = {.use = use, .tile = 3};
    void     *ctx = NULL, *op = NULL, *mem[5] = {0};
    size_t    op_bytes, scratch;
    float     weight[12 * 8 * 9], x[3 * 12 * 36], grad[12 * 8 * 9];
    check_rng r = {9};
    check_fill_normal(&r, weight, 12 * 8 * 9, 1);
    check_fill_normal(&r, x, 3 * 12 * 36, 1);
    ot_status st = i->open(&ctx, flavour);
    if (st != OT_OK) return st;
    st = i->step_open(ctx, &op, &s->step, 3, &opt, &op_bytes, &scratch);
    if (st == OT_OK && algorithm) snprintf(algorithm, 128, "%s", i->step_algorithm(op));
    const size_t in = i->tensor_bytes(ctx, s->step.in, 3), out = i->tensor_bytes(ctx, s->step.out, 3), bytes[5] = {in, out, out, in, st == OT_OK ? scratch : 1};
    for (int k = 0; k < 5 && st == OT_OK; k++) st = i->alloc(ctx, &mem[k], bytes[k]);
    if (st == OT_OK) st = i->step_load(ctx, op, weight, NULL, NULL, NULL);
    if (st == OT_OK) st = i->put(ctx, mem[0], s->step.in, 3, x);
    if (st == OT_OK) st = i->forward(ctx, op, mem[0], NULL, mem[1], mem[4], &(ot_step_run){.n = 2, .gain = 1});
    if (st == OT_OK) st = i->put(ctx, mem[2], s->step.out, 3, x);
    if (st == OT_OK && use != OT_PLAN_FORWARD)
        st = i->backward(ctx, op, mem[0], mem[1], mem[2], mem[3], NULL, mem[4], &(ot_step_back){.n = 2, .gain = 1, .grad_weight = use == OT_PLAN_TRAIN ? grad : NULL});
    for (int k = 0; k < 5; k++) i->free(ctx, mem[k]);
    i->step_close(ctx, op);
    i->close(ctx);
    return st;
}

/* --- choices as text --- */

TEST choices_come_back_from_their_text(void)
{
    static const char *const texts[] = {"", "0:own,own", "0:own,own;1:cudnn,own;2:cublas,cublas", "*:libs,libs,libs", "7:cudnn,cudnn,cudnn;*:own,own"};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        ot__cuda_choices c;
        char text[128], small[8];
        OK(ot__cuda_choices_read(&c, texts[k]));
        OK(ot__cuda_choices_write(&c, text, sizeof text));
        ASSERT_STR_EQ(texts[k], text);
        if (strlen(text) >= sizeof small) FAILS(OT_E_RANGE, "do not fit", ot__cuda_choices_write(&c, small, sizeof small));
        ot__cuda_choices_free(&c);
    }
    PASS();
}

TEST texts_that_are_not_choices_are_refused(void)
{
    static const char *const texts[] = {"x", "0", "0:own", "0:own,", "0:own,own,own,own", "0:own,fast", "-1:own,own", "0:own,own1:own,own", "0:own,own;;", ":own,own",
                                        "0:own,own 1:own,own", "99999999999:own,own", "*"};
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        ot__cuda_choices c;
        FAILS(OT_E_RANGE, "want NUMBER:FORWARD,DATA", ot__cuda_choices_read(&c, texts[k]));
    }
    ot__cuda_choices c;
    FAILS(OT_E_RANGE, "a second time", ot__cuda_choices_read(&c, "3:own,own;3:cudnn,own"));
    FAILS(OT_E_RANGE, "a second time", ot__cuda_choices_read(&c, "*:own,own;*:cudnn,own"));
    PASS();
}

TEST flavours_are_read_to_the_end(void)
{
    void *ctx;
    FAILS(OT_E_BACKEND, "want cuda, cuda:tf32", ot__backend_cuda.open(&ctx, "fp1+libs"));
    FAILS(OT_E_BACKEND, "+libs=CHOICES", ot__backend_cuda.open(&ctx, "fp16+lib"));
    FAILS(OT_E_BACKEND, "+libs=CHOICES", ot__backend_cuda.open(&ctx, "fp16+libs2"));
    FAILS(OT_E_RANGE, "choices: 'x'", ot__backend_cuda.open(&ctx, "tf32+libs=x"));
    ot_backend *be;
    OK(ot_backend_open(&be, "cuda:fp16+libs=0:own,own", NULL));
    ASSERT_STR_EQ("cuda:fp16+libs", ot_backend_name(be));
    ASSERT(strstr(ot_backend_detail(be), "cuBLAS 13.0.2, cuDNN 9.19.0"));
    ot_backend_close(be);
    PASS();
}

/* --- measured --- */

/* Times of five rounds, ours and theirs in turn, with one outlier each that a median does not see. */
static int times(float *ms, float own, float theirs)
{
    for (int k = 0; k < 5; k++) ms[2 * k] = own, ms[2 * k + 1] = theirs;
    ms[2] = own * 50, ms[5] = theirs * 50;
    return 10;
}

TEST a_library_is_taken_where_it_is_a_tenth_faster(void)
{
    static const struct { int k, uneven; ot_plan_use use; float forward, data, gradient; const char *algorithm; } rows[] = {
        {3, 0, OT_PLAN_TUNE, 0.8f, 0.8f, 0, "cudnn implicit precomp gemm, data by cudnn data 1"},
        {3, 0, OT_PLAN_TUNE, 0.95f, 0.8f, 0, "own implicit gemm, data by cudnn data 1"},
        {3, 0, OT_PLAN_TUNE, 0.8f, 0.95f, 0, "cudnn implicit precomp gemm, data by own implicit gemm"},
        {3, 0, OT_PLAN_TUNE, 0.95f, 2, 0, "own implicit gemm"},
        {3, 0, OT_PLAN_FORWARD, 0.8f, 0, 0, "cudnn implicit precomp gemm"},
        {1, 0, OT_PLAN_TUNE, 0.5f, 0.5f, 0, "cublas gemm, data by cublas gemm"},
        {1, 0, OT_PLAN_TRAIN, 0.5f, 2, 0.5f, "cublas gemm, data by own implicit gemm, gradients by cudnn filter 1"},
        {3, 1, OT_PLAN_TUNE, 0.1f, 0.1f, 0, "own implicit gemm"},        /* uneven padding: nobody else does it */
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        step_of s;
        char    algorithm[128];
        float   ms[30];
        int     n = times(ms, 1, rows[k].forward);
        if (rows[k].use != OT_PLAN_FORWARD) n += times(ms + n, 1, rows[k].data);
        if (rows[k].use == OT_PLAN_TRAIN) n += times(ms + n, 1, rows[k].gradient);
        make(&s, rows[k].k, 0, rows[k].uneven);
        simt_elapsed(ms, n);
        OK(life("fp32+libs", &s, rows[k].use, algorithm));
        simt_elapsed(NULL, 0);
        ASSERT_STR_EQ(rows[k].algorithm, algorithm);
    }
    PASS();
}

static ot_status step_and_close(void *ctx, step_of *s, ot_plan_use use, int chips, int src, char *algorithm)
{
    ot_plan_options opt = {.use = use, .tile = 3, .chips = chips};
    size_t bytes, scratch;
    void  *op;
    s->step.src = src;
    OT_TRY(ot__backend_cuda.step_open(ctx, &op, &s->step, 3, &opt, &bytes, &scratch));
    snprintf(algorithm, 128, "%s", ot__backend_cuda.step_algorithm(op));
    ot__backend_cuda.step_close(ctx, op);
    return OT_OK;
}

TEST a_choice_is_made_once_and_can_be_replayed(void)
{
    void   *ctx;
    step_of a, b;
    char    algorithm[128], text[128], flavour[160];
    float   ms[40];
    make(&a, 3, 0, 0), make(&b, 1, 1, 0);
    OK(ot__backend_cuda.open(&ctx, "fp16+libs"));
    ot__cuda_choices *c = &((ot__cuda *)ctx)->choices;
    simt_elapsed(ms, times(ms, 1, 0.5f));
    OK(step_and_close(ctx, &a, OT_PLAN_FORWARD, 0, 1, algorithm));
    ASSERT_STR_EQ("cudnn implicit precomp gemm", algorithm);
    simt_elapsed(ms, times(ms, 1, 2));                    /* forward is settled: this is for the data alone */
    OK(step_and_close(ctx, &a, OT_PLAN_TUNE, 4, 1, algorithm));
    ASSERT_STR_EQ("cudnn implicit precomp gemm, data by own implicit gemm", algorithm);
    simt_elapsed(ms, times(ms, 1, 2));                    /* all is settled: not looked at */
    OK(step_and_close(ctx, &a, OT_PLAN_TUNE, 7, 1, algorithm));
    ASSERT_STR_EQ("cudnn implicit precomp gemm, data by own implicit gemm", algorithm);
    int n = times(ms, 1, 0.5f);
    simt_elapsed(ms, n + times(ms + n, 1, 0.5f));
    OK(step_and_close(ctx, &b, OT_PLAN_TUNE, 4, 1, algorithm));
    ASSERT_STR_EQ("cublas gemm, data by cublas gemm", algorithm);
    simt_elapsed(ms, times(ms, 1, 0.5f));
    b.layer.crossbar = 2;
    OK(step_and_close(ctx, &b, OT_PLAN_TUNE, 4, 0, algorithm));        /* on the images: nobody wants their gradient */
    ASSERT_STR_EQ("cublas gemm", algorithm);
    simt_elapsed(NULL, 0);
    OK(ot__cuda_choices_write(c, text, sizeof text));
    ASSERT_STR_EQ("0:cudnn,own;1:cublas,cublas;2:cublas,own", text);
    ot__backend_cuda.close(ctx);
    snprintf(flavour, sizeof flavour, "fp16+libs=%s", text);
    int64_t events = simt_lib_calls("cudnnConvolutionForward");
    OK(ot__backend_cuda.open(&ctx, flavour));
    OK(step_and_close(ctx, &a, OT_PLAN_TUNE, 9, 1, algorithm));
    ASSERT_STR_EQ("cudnn implicit precomp gemm, data by own implicit gemm", algorithm);
    b.layer.crossbar = 3;                                 /* not named: own, and nothing is measured */
    OK(step_and_close(ctx, &b, OT_PLAN_TUNE, 9, 1, algorithm));
    ASSERT_STR_EQ("own implicit gemm", algorithm);
    a.layer.crossbar = 1;                                 /* cublas cannot do 3 x 3 */
    FAILS(OT_E_MISMATCH, "cublas cannot do this step", step_and_close(ctx, &a, OT_PLAN_TUNE, 9, 1, algorithm));
    ASSERT_EQ(events, simt_lib_calls("cudnnConvolutionForward"));
    ot__backend_cuda.close(ctx);
    PASS();
}

TEST two_networks_on_one_backend_do_not_share_choices(void)
{
    void   *ctx;
    step_of a, b;
    char    algorithm[128];
    float   ms[10];
    make(&a, 3, 0, 0), make(&b, 1, 0, 0);
    OK(ot__backend_cuda.open(&ctx, "fp32+libs"));
    simt_elapsed(ms, times(ms, 1, 0.5f));
    OK(step_and_close(ctx, &a, OT_PLAN_FORWARD, 0, 1, algorithm));
    simt_elapsed(ms, times(ms, 1, 2));
    OK(step_and_close(ctx, &b, OT_PLAN_FORWARD, 0, 1, algorithm));
    ASSERT_STR_EQ("own implicit gemm", algorithm);
    simt_elapsed(NULL, 0);
    OK(step_and_close(ctx, &a, OT_PLAN_FORWARD, 0, 1, algorithm));
    ASSERT_STR_EQ("cudnn implicit precomp gemm", algorithm);
    ot__backend_cuda.close(ctx);
    PASS();
}

TEST what_a_library_will_not_do_we_do(void)
{
    static const char *const refusing[] = {"cudnnConvolutionForward", "cudnnGetConvolutionForwardWorkspaceSize"};
    for (int k = 0; k < 2; k++) {
        step_of s;
        char    algorithm[128];
        make(&s, 3, 0, 0);
        simt_libs(NULL, refusing[k], 3000, 0);
        ot_status st = life("fp16+libs", &s, OT_PLAN_FORWARD, algorithm);
        simt_libs(NULL, NULL, 0, 0);
        OK(st);
        ASSERT_STR_EQ("own implicit gemm", algorithm);
    }
    PASS();
}

TEST without_memory_to_measure_in_a_plan_still_opens(void)
{
    void   *ctx;
    step_of s;
    char    algorithm[128];
    int64_t before = simt_live();
    make(&s, 3, 0, 0);
    OK(ot__backend_cuda.open(&ctx, "fp32+libs"));
    simt_memory(20000);                                   /* the op fits, three tensors of three images beside it do not */
    ot_status st = step_and_close(ctx, &s, OT_PLAN_TUNE, 0, 1, algorithm);
    simt_memory(0);
    OK(st);
    ASSERT_STR_EQ("own implicit gemm", algorithm);
    ot__backend_cuda.close(ctx);
    ASSERT_EQ(before, simt_live());
    PASS();
}

/* --- what fails --- */

TEST what_is_missing_is_named(void)
{
    static const struct { const char *missing, *words; } rows[] = {
        {"libcublas", "cuBLAS: none of libcublas.so.13, libcublas.so.12, libcublas.so.11 can be loaded"},
        {"libcudnn", "cuDNN: none of libcudnn.so.9, libcudnn.so.8 can be loaded"},
        {"cublasGemmStridedBatchedEx", "cuBLAS: there is no cublasGemmStridedBatchedEx"},
        {"cudnnConvolutionBackwardData", "cuDNN: there is no cudnnConvolutionBackwardData"},
        {"lib", "OHMTRIM_CUDA_LIBS"}};
    int64_t before = simt_live();
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        void *ctx;
        simt_libs(rows[k].missing, NULL, 0, 0);
        FAILS(OT_E_BACKEND, rows[k].words, ot__backend_cuda.open(&ctx, "fp16+libs"));
        OK(ot__backend_cuda.open(&ctx, "fp16"));          /* and is not missed where it is not asked for */
        ot__backend_cuda.close(ctx);
        simt_libs(NULL, NULL, 0, 0);
        ASSERT_EQ(before, simt_live());
    }
    PASS();
}

TEST a_folder_of_libraries_can_be_named(void)
{
    void *ctx;
    setenv("OHMTRIM_CUDA_LIBS", "/opt/somewhere", 1);
    OK(ot__backend_cuda.open(&ctx, "fp16+libs"));
    unsetenv("OHMTRIM_CUDA_LIBS");
    ASSERT_STR_EQ("/opt/somewhere/libcudnn.so.9", simt_library_path());
    ot__backend_cuda.close(ctx);
    PASS();
}

/* Each call with a status of its library, at its first and its second time. */
TEST a_call_that_fails_is_named_and_leaves_nothing(const char *flavour)
{
    static const char *const calls[] = {
        "cublasCreate_v2", "cublasGetVersion_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2", "cublasGemmStridedBatchedEx", "cudnnCreate", "cudnnSetStream",
        "cudnnCreateTensorDescriptor", "cudnnSetTensor4dDescriptor", "cudnnCreateFilterDescriptor", "cudnnSetFilter4dDescriptor", "cudnnCreateConvolutionDescriptor",
        "cudnnSetConvolution2dDescriptor", "cudnnSetConvolutionGroupCount", "cudnnSetConvolutionMathType", "cudnnGetConvolutionForwardWorkspaceSize",
        "cudnnGetConvolutionBackwardDataWorkspaceSize", "cudnnGetConvolutionBackwardFilterWorkspaceSize", "cudnnConvolutionForward", "cudnnConvolutionBackwardData",
        "cudnnConvolutionBackwardFilter"};
    int64_t before = simt_live();
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        int failed = 0, blas = !strncmp(calls[k], "cublas", 6);
        for (int size = 1; size <= 3; size += 2)
            for (int after = 0; after < 2; after++) {
                step_of s;
                char    words[96];
                make(&s, size, 0, 0);
                simt_libs(NULL, calls[k], blas ? 14 : 5000, after);
                ot_status st = life(flavour, &s, OT_PLAN_TRAIN, NULL);
                simt_libs(NULL, NULL, 0, 0);
                ASSERT_EQ(before, simt_live());
                if (st == OT_OK) continue;                /* this step does not make the call (so often) */
                failed++;
                snprintf(words, sizeof words, "%s: %s: %s", blas ? "cuBLAS" : "cuDNN", calls[k], blas ? "unknown cublas status" : "CUDNN_STATUS_EXECUTION_FAILED");
                ASSERT(check_status(OT_E_LIBRARY, st, words, calls[k]));
            }
        if (!failed) printf("%s is never called\n", calls[k]);
        ASSERT(failed > 0);
    }
    PASS();
}

TEST a_runtime_call_that_fails_beside_libraries_leaves_nothing(const char *flavour, int error)
{
    step_of s;
    int64_t before = simt_live(), start = simt_calls();
    make(&s, 3, 0, 0);
    OK(life(flavour, &s, OT_PLAN_TRAIN, NULL));
    int64_t calls = simt_calls() - start;
    for (int64_t k = 1; k <= calls; k++) {
        simt_fail_call(k, error);
        ot_status st = life(flavour, &s, OT_PLAN_TRAIN, NULL);
        simt_fail_call(0, 0);
        simt_clear();
        ASSERT_EQ(before, simt_live());
        if (st != OT_OK) ASSERT(strstr(ot_last_error(), "CUDA") || strstr(ot_last_error(), "CUDNN") || strstr(ot_last_error(), "cuBLAS"));
    }
    PASS();
}

SUITE(test_libs)
{
    RUN_TEST(choices_come_back_from_their_text);
    RUN_TEST(texts_that_are_not_choices_are_refused);
    RUN_TEST(flavours_are_read_to_the_end);
    RUN_TEST(a_library_is_taken_where_it_is_a_tenth_faster);
    RUN_TEST(a_choice_is_made_once_and_can_be_replayed);
    RUN_TEST(two_networks_on_one_backend_do_not_share_choices);
    RUN_TEST(what_a_library_will_not_do_we_do);
    RUN_TEST(without_memory_to_measure_in_a_plan_still_opens);
    RUN_TEST(what_is_missing_is_named);
    RUN_TEST(a_folder_of_libraries_can_be_named);
    static const char *const flavours[] = {"fp32+libs", "tf32+libs=*:libs,libs,libs"};
    for (int k = 0; k < 2; k++) {
        greatest_set_test_suffix(k ? "replayed" : "measured");
        RUN_TESTp(a_call_that_fails_is_named_and_leaves_nothing, flavours[k]);
        RUN_TESTp(a_runtime_call_that_fails_beside_libraries_leaves_nothing, flavours[k], k ? cudaErrorLaunchFailure : cudaErrorMemoryAllocation);
    }
}
