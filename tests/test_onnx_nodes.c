/* test_onnx_nodes.c - ONNX's own backend tests (Debian: libonnx-testdata): one operator each, with inputs and outputs by another implementation.
 *
 * A case is applicable if it is made only of operators of docs/onnx.md and is a network as this library knows it.  Its first input is the
 * images, the others become initialisers, it runs on ref, and every output number is compared.  Each case that is not applicable has its
 * reason, and docs/onnx-nodes.md is the list of both: the test writes it anew and fails where it differs, so that neither a lost case nor
 * a gained one goes unseen.  OHMTRIM_WRITE_NODES=FILE writes the list instead. */
#include "check.h"
#include "onnx.pb-c.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

#define FOLDER "/usr/share/libonnx-testdata/data"
enum { LIST = 1 << 17 };

static const char *const operators[] = {"Conv", "BatchNormalization", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "Gemm",
                                        "MatMul", "Add", "Sub", "Mul", "Flatten", "Reshape", "Squeeze", "Pad", "Slice", "Identity", "Dropout", "Constant"};

static int is_ours(const char *op)
{
    for (size_t k = 0; k < sizeof operators / sizeof *operators; k++)
        if (!strcmp(op, operators[k])) return 1;
    return 0;
}

static uint8_t *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*n + 1);
    if (p && fread(p, 1, *n, f) != *n) free(p), p = NULL;
    fclose(f);
    return p;
}

static Onnx__TensorProto *tensor(const char *dir, const char *what, size_t k)
{
    char path[1200];
    size_t n;
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%zu.pb", dir, what, k);
    uint8_t *bytes = slurp(path, &n);
    Onnx__TensorProto *t = bytes ? onnx__tensor_proto__unpack(NULL, n, bytes) : NULL;
    free(bytes);
    return t;
}

static const float *floats_of(const Onnx__TensorProto *t, size_t *n)
{
    if (t->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) return NULL;
    *n = t->has_raw_data ? t->raw_data.len / 4 : t->n_float_data;
    return t->has_raw_data ? (const float *)(const void *)t->raw_data.data : t->float_data;
}

/* The network on images x of the case; the reason why not in `why`. */
static int run(const ot_network *net, const float *x, int64_t n, const float *want, size_t n_want, char *why, size_t room)
{
    const ot_layer *in = ot_network_layer(net, 0);
    ot_data d = {.name = (char *)(uintptr_t)"case", .n = (int)n, .c = in->c, .h = in->h, .w = in->w, .classes = 1, .values = (float *)(uintptr_t)x};
    int32_t zero[64] = {0};
    d.labels = zero;
    if (n > 64 || n_want != (size_t)n * (size_t)ot_network_classes(net)) {
        snprintf(why, room, "FAILED: %zu numbers wanted, the network gives %d an image for %lld images", n_want, ot_network_classes(net), (long long)n);
        return 0;
    }
    ot_backend *be = NULL;
    ot_plan *plan = NULL;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.tile = (int)n;
    float *got = malloc(n_want * sizeof *got);
    check_poison(got, n_want);
    ot_status st = ot_backend_open(&be, "ref", NULL);
    if (st == OT_OK) st = ot_plan_open(&plan, be, net, &opt);
    if (st == OT_OK) st = ot_plan_load(plan, NULL);
    if (st == OT_OK) st = ot_plan_forward(plan, &d, NULL, n, got, NULL);
    int good = st == OT_OK;
    if (!good) snprintf(why, room, "FAILED: %.300s", ot_last_error());
    double most = check_max_f32(want, n_want);
    for (size_t i = 0; good && i < n_want; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= /* sums of some 100 floats in another order, their own file being float */ 1e-5 * (most > 1 ? most : 1))) {
            good = 0;
            snprintf(why, room, "FAILED: [%zu] = %g, want %g", i, (double)got[i], (double)want[i]);
        }
    free(got);
    ot_plan_free(plan);
    ot_backend_close(be);
    return good;
}

/* 1: passed; 0: not applicable or failed, `why` says; -1: not made of our operators. */
static int one_case(const char *dir, char *why, size_t room)
{
    char path[1100];
    size_t n, n_x = 0, n_y = 0;
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    uint8_t *bytes = slurp(path, &n);
    Onnx__ModelProto *m = bytes ? onnx__model_proto__unpack(NULL, n, bytes) : NULL;
    Onnx__TensorProto *in[16] = {0}, *out = NULL;
    ot_network *net = NULL;
    int result = -1;
    free(bytes);
    if (!m || !m->graph) goto done;
    Onnx__GraphProto *g = m->graph;
    for (size_t k = 0; k < g->n_node; k++)
        if (!is_ours(g->node[k]->op_type)) goto done;
    result = 0;
    for (size_t k = 0; k < g->n_input && k < 16; k++)
        if (!(in[k] = tensor(dir, "input", k))) break;
    out = tensor(dir, "output", 0);
    const float *x = in[0] ? floats_of(in[0], &n_x) : NULL, *y = out ? floats_of(out, &n_y) : NULL;
    if (!in[0]) snprintf(why, room, "it has no input: a constant alone");
    else if (!x || !y) snprintf(why, room, "its numbers are not float");
    else if (g->n_output > 1) snprintf(why, room, "it has %zu outputs", g->n_output);
    else if (in[0]->n_dims < 2) snprintf(why, room, "its input has %zu dimensions: no image in it", in[0]->n_dims);
    if (*why) goto done;
    Onnx__TensorProto *all[64];                            /* further inputs are initialisers */
    size_t count = 0, old = g->n_initializer;
    Onnx__TensorProto **before = g->initializer;
    for (; count < old && count < 32; count++) all[count] = before[count];
    for (size_t k = 1; k < g->n_input && k < 16 && in[k]; k++) {
        free(in[k]->name);
        in[k]->name = strdup(g->input[k]->name);
        all[count++] = in[k];
    }
    g->initializer = all;
    g->n_initializer = count;
    size_t size = onnx__model_proto__get_packed_size(m);
    bytes = malloc(size);
    onnx__model_proto__pack(m, bytes);
    g->initializer = before;
    g->n_initializer = old;
    ot_status st = ot_network_read(&net, bytes, size, NULL);
    free(bytes);
    if (st != OT_OK) {
        const char *said = ot_last_error(), *colon = strstr(said, "): ");       /* after "node '' (Conv, opset 13)" */
        snprintf(why, room, "%s%s", st == OT_E_UNSUPPORTED ? "" : "FAILED: ", colon ? colon + 3 : strncmp(said, "ONNX model: ", 12) ? said : said + 12);
    } else result = run(net, x, in[0]->dims[0], y, n_y, why, room);
done:
    ot_network_free(net);
    for (int k = 0; k < 16; k++)
        if (in[k]) onnx__tensor_proto__free_unpacked(in[k], NULL);
    if (out) onnx__tensor_proto__free_unpacked(out, NULL);
    if (m) onnx__model_proto__free_unpacked(m, NULL);
    return result;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

TEST onnx_s_own_node_tests_pass(void)
{
    static char passed[LIST], others[LIST], text[2 * LIST + 4096];
    static const char *const folders[] = {"node", "pytorch-converted", "pytorch-operator", "simple"};
    size_t p = 0, o = 0, n_text = 0;
    int n_passed = 0, n_others = 0, n_failed = 0;
    if (access(FOLDER "/node", R_OK)) SKIPm("libonnx-testdata is not installed");
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        struct dirent **list;
        char dir[600];
        snprintf(dir, sizeof dir, "%s/%s", FOLDER, folders[f]);
        int n = scandir(dir, &list, NULL, by_name);
        for (int i = 0; i < n; i++) {
            char path[900], why[500] = "";
            snprintf(path, sizeof path, "%s/%.255s", dir, list[i]->d_name);
            int r = list[i]->d_name[0] == '.' ? -1 : one_case(path, why, sizeof why);
            if (r == 1) p += (size_t)snprintf(passed + p, sizeof passed - p, "- %s/%s\n", folders[f], list[i]->d_name), n_passed++;
            else if (r == 0) o += (size_t)snprintf(others + o, sizeof others - o, "| %s/%s | %s |\n", folders[f], list[i]->d_name, why), n_others++;
            if (r == 0 && !strncmp(why, "FAILED", 6)) {
                printf("\n%s/%s %s\n", folders[f], list[i]->d_name, why);
                n_failed++;
            }
            free(list[i]);
        }
        free(list);
    }
    n_text = (size_t)snprintf(text, sizeof text,
                              "# ONNX's own backend tests\n\nWritten by tests/test_onnx_nodes.c (OHMTRIM_WRITE_NODES=docs/onnx-nodes.md), which fails where it finds something else.\n"
                              "The cases are those of Debian's libonnx-testdata made only of operators of [onnx.md](onnx.md), run on the ref backend and compared within 1e-5.\n\n"
                              "%d passed, %d not applicable.\n\n## Passed\n\n%s\n## Not applicable, and why\n\n| case | what the import says |\n| --- | --- |\n%s",
                              n_passed, n_others, passed, others);
    ASSERT_EQ_FMT(0, n_failed, "%d");

    const char *write = getenv("OHMTRIM_WRITE_NODES");
    if (write) {
        FILE *f = fopen(write, "wb");
        ASSERT(f && fwrite(text, 1, n_text, f) == n_text && !fclose(f));
        PASS();
    }
    char doc[1100];
    size_t n_doc = 0;
    snprintf(doc, sizeof doc, "%s", check_golden("../../docs/onnx-nodes.md"));
    uint8_t *stands = slurp(doc, &n_doc);
    int same = stands && n_doc == n_text && !memcmp(stands, text, n_text);
    free(stands);
    if (!same) printf("\n%d passed, %d not applicable: differs from docs/onnx-nodes.md\n", n_passed, n_others);
    ASSERTm("docs/onnx-nodes.md lists what passes (another version of the cases? OHMTRIM_WRITE_NODES writes it anew)", same);
    PASS();
}

SUITE(test_onnx_nodes) { RUN_TEST(onnx_s_own_node_tests_pass); }
