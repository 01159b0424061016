/* test_models.c - the built-in networks: layer tables equal to the published ones, widths, files that read back, one step of training. */
#include "check.h"
#include "models/model.h"
#include "nets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct counts {
    int convs, dense, relus, spikes;
    size_t weights, parameters; /* crossbar weights; with biases, gamma and beta */
    double macs;                /* an image; an image and step for spiking networks */
} counts;

static counts count(const ot_network *net)
{
    counts n = {.relus = ot_network_relus(net), .spikes = ot_network_spikes(net), .parameters = ot_network_parameters(net)};
    for (int k = 0; k < ot_network_layers(net); k++) {
        const ot_layer *l = ot_network_layer(net, k);
        n.convs += l->op == OT_OP_CONV;
        n.dense += l->op == OT_OP_DENSE;
        n.weights += ot_layer_weights(l);
        n.macs += ot_network_macs(net, k);
    }
    return n;
}

/* ASSERT_EQ that says of which network or layer. */
#define SAME(NAME, WANT, GOT, FORMAT)                                                                            \
    do {                                                                                                         \
        if ((WANT) != (GOT)) printf("\n%s: " #GOT " = " FORMAT ", want " FORMAT "\n", (NAME), (GOT), (WANT)); \
        ASSERTm((NAME), (WANT) == (GOT));                                                                        \
    } while (0)

typedef struct row {
    const char *name;
    int c, side, classes;
    counts want;
} row;

static enum greatest_test_res has_counts(const row *r)
{
    ot_network *net;
    OK(ot_model_build(&net, r->name, r->c, r->side, r->side, r->classes, 1));
    const counts n = count(net);
    SAME(r->name, r->want.convs, n.convs, "%d");
    SAME(r->name, r->want.dense, n.dense, "%d");
    SAME(r->name, r->want.relus, n.relus, "%d");
    SAME(r->name, r->want.spikes, n.spikes, "%d");
    SAME(r->name, r->want.weights, n.weights, "%zu");
    SAME(r->name, r->want.parameters, n.parameters, "%zu");
    SAME(r->name, r->want.macs, n.macs, "%.0f");
    ASSERT_EQm(r->name, r->classes, ot_network_classes(net));
    ASSERT_STR_EQ(r->name, ot_network_name(net));
    ot_network_free(net);
    PASS();
}

/* The papers' networks: sizes as published, or by the layers of the implementations their authors used. */
TEST layer_tables_are_the_published_ones(void)
{
    static const row rows[] = {
        {"mobilenet", 3, 32, 10, {27, 1, 27, 0, 3195328, 3217226, 46354432}},
        {"vgg16", 3, 32, 10, {13, 1, 13, 0, 14715584, 14728266, 313201664}},
        {"vgg16-3", 3, 32, 100, {13, 3, 15, 0, 33994432, 34015396, 332480512}},
        {"vgg16-3-512", 3, 32, 100, {13, 3, 15, 0, 15285952, 15299748, 313772032}},
        {"resnet18", 3, 32, 100, {20, 1, 17, 0, 11210432, 11220132, 555468800}},
        {"resnet18", 3, 32, 10, {20, 1, 17, 0, 11164352, 11173962, 555422720}},
        {"vgg11", 3, 32, 10, {8, 1, 8, 0, 9222848, 9231114, 152769536}},
        {"lenet5", 1, 28, 10, {2, 3, 4, 0, 61470, 61706, 416520}},
        {"lenet5", 3, 32, 10, {2, 3, 4, 0, 61770, 62006, 651720}},
        {"snn-vgg9", 3, 32, 10, {7, 2, 0, 9, 5938880, 5942218, 194717696}},
        {"snn-vgg9-max", 3, 32, 10, {7, 2, 0, 9, 5938880, 5942218, 194717696}},
        {"resnet20", 3, 32, 10, {19, 1, 19, 0, 268336, 269722, 40551040}},
        {"resnet8", 3, 32, 10, {7, 1, 7, 0, 74800, 75290, 12239488}},
        {"vgg-s", 3, 32, 10, {4, 1, 4, 0, 241760, 242474, 19760384}},
        {"mobilenet-s", 1, 28, 10, {15, 1, 15, 0, 36832, 38504 - 2 * 15, 368368}}, /* 38,504 counts the 30 knobs */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) CHECK_CALL(has_counts(&rows[i]));
    PASS();
}

/* Written down from the layer lists by a script that shares nothing with the builders. */
TEST widths_scale_every_channel_count(void)
{
    static const row rows[] = {
        {"mobilenet@0.25", 3, 32, 10, {27, 1, 27, 0, 210160, 215642, 3331072}},
        {"mobilenet@0.5", 3, 32, 10, {27, 1, 27, 0, 812768, 823722, 12167168}},
        {"mobilenet@0.3", 3, 32, 10, {27, 1, 27, 0, 299926, 306510, 4676734}}, /* 9.6 channels are 10, 19.2 are 19 */
        {"mobilenet@1.0", 3, 32, 10, {27, 1, 27, 0, 3195328, 3217226, 46354432}},
        {"vgg16@0.25", 3, 32, 10, {13, 1, 13, 0, 921008, 924186, 19907840}},
        {"vgg11@0.25", 3, 32, 10, {8, 1, 8, 0, 577712, 579786, 9880832}},
        {"vgg16-3@0.125", 3, 32, 100, {13, 3, 15, 0, 576152, 578860, 5433344}},
        {"vgg16-3-512@.5", 3, 32, 100, {13, 3, 15, 0, 3834720, 3841668, 78898176}},
        {"resnet18@0.5", 3, 32, 100, {20, 1, 17, 0, 2815840, 2820740, 139322368}},
        {"resnet18@0.25", 3, 32, 10, {20, 1, 17, 0, 699056, 701466, 35046656}},
        {"resnet20@2", 3, 32, 10, {19, 1, 19, 0, 1071200, 1073962, 161318144}},
        {"resnet20@1.1", 3, 32, 10, {19, 1, 19, 0, 322027, 323549, 49500988}}, /* 17.6 are 18, 35.2 are 35, 70.4 are 70 */
        {"lenet5@0.25", 1, 28, 10, {2, 3, 4, 0, 4090, 4157, 63040}},          /* 1.5 channels are 2 */
        {"lenet5@0.01", 3, 32, 10, {2, 3, 4, 0, 136, 150, 61336}},            /* one channel at least */
        {"snn-vgg9@0.25", 3, 32, 10, {7, 2, 0, 9, 373424, 374266, 12503552}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) CHECK_CALL(has_counts(&rows[i]));
    PASS();
}

/* Multiply-accumulates layer by layer, in the order of the crossbars. */
static enum greatest_test_res has_macs(const char *name, int classes, const double *want, int n)
{
    ot_network *net;
    OK(ot_model_build(&net, name, 3, 32, 32, classes, 1));
    SAME(name, n, ot_network_crossbars(net), "%d");
    for (int k = 0, x = 0; k < ot_network_layers(net); k++)
        if (ot_network_layer(net, k)->crossbar >= 0) {
            SAME(ot_network_layer(net, k)->name, want[x], ot_network_macs(net, k), "%.0f");
            x++;
        }
    ot_network_free(net);
    PASS();
}

TEST multiply_accumulates_are_the_published_ones_layer_by_layer(void)
{
    enum { STEM = 1769472, FULL = 37748736, HALF = FULL / 2, QUARTER = FULL / 4, SHORT = 2097152 };
    static const double vgg16[] = {STEM, FULL, HALF, FULL, HALF, FULL, FULL, HALF, FULL, FULL, QUARTER, QUARTER, QUARTER, 5120};
    static const double resnet18[] = {STEM, FULL, FULL, FULL, FULL, HALF, FULL, SHORT, FULL, FULL, HALF, FULL, SHORT, FULL, FULL,
                                      HALF, FULL, SHORT, FULL, FULL, 51200};
    CHECK_CALL(has_macs("vgg16", 10, vgg16, (int)(sizeof vgg16 / sizeof *vgg16)));
    CHECK_CALL(has_macs("resnet18", 100, resnet18, (int)(sizeof resnet18 / sizeof *resnet18)));
    PASS();
}

/* Where a residual block adds: both paths end in a batch norm where the size changes, and the second ReLU reads the sum. */
TEST resnet18_adds_before_its_second_relu(void)
{
    ot_network *net;
    int adds = 0, projected = 0;
    OK(ot_model_build(&net, "resnet18@0.1", 3, 32, 32, 10, 1));
    for (int k = 0; k < ot_network_layers(net); k++) {
        const ot_layer *l = ot_network_layer(net, k);
        if (l->op != OT_OP_ADD) continue;
        adds++;
        ASSERT_EQ(OT_OP_RELU, ot_network_layer(net, k + 1)->op);
        ASSERT_EQ(k, ot_network_layer(net, k + 1)->in[0]);
        ASSERT_EQ(OT_OP_BATCH_NORM, ot_network_layer(net, l->in[0])->op);
        const ot_layer *other = ot_network_layer(net, l->in[1]);
        if (other->op == OT_OP_RELU) continue;
        const ot_layer *conv = ot_network_layer(net, other->in[0]);
        ASSERT(other->op == OT_OP_BATCH_NORM && conv->op == OT_OP_CONV);
        ASSERT(conv->kh == 1 && conv->kw == 1 && conv->sh == 2 && conv->sw == 2 && !conv->bias && conv->pt == 0);
        ASSERT_EQ(OT_OP_RELU, ot_network_layer(net, conv->in[0])->op);
        projected++;
    }
    ASSERT_EQ(8, adds);
    ASSERT_EQ(3, projected);
    ot_network_free(net);
    PASS();
}

TEST every_listed_network_builds_at_its_smallest_size(void)
{
    for (int i = 0; ot_model_name(i); i++) {
        ot_network *net;
        char name[40];
        ASSERT(ot_model_text(i) && *ot_model_text(i));
        int deep = !strncmp(ot_model_name(i), "vgg1", 4);              /* five poolings */
        snprintf(name, sizeof name, "%s@0.25", ot_model_name(i)); /* drawing all weights takes seconds */
        OK(ot_model_build(&net, name, 2, deep ? 32 : 12, deep ? 33 : 13, 3, 1));
        ASSERT_EQ(3, ot_network_classes(net));
        ot_network_free(net);
        FAILS(OT_E_SHAPE, "want", ot_model_build(&net, name, 2, 3, 3, 3, 1));
    }
    ASSERT_EQ(NULL, ot_model_name(-1));
    PASS();
}

TEST a_width_of_one_changes_nothing(void)
{
    ot_network *a, *b;
    OK(ot_model_build(&a, "mobilenet-s", 1, 28, 28, 10, 7));
    OK(ot_model_build(&b, "mobilenet-s@1", 1, 28, 28, 10, 7));
    ASSERT_EQ(ot_network_crossbars(a), ot_network_crossbars(b));
    for (int k = 0; k < ot_network_crossbars(a); k++) {
        const ot_layer *l = ot_network_crossbar(a, k);
        ASSERT_MEM_EQ(l->weight, ot_network_crossbar(b, k)->weight, ot_layer_weights(l) * sizeof(float));
    }
    ot_network_free(a);
    ot_network_free(b);
    PASS();
}

TEST a_seed_gives_one_network_of_he_normal_weights(void)
{
    ot_network *a, *b, *c;
    OK(ot_model_build(&a, "resnet20", 3, 32, 32, 10, 7));
    OK(ot_model_build(&b, "resnet20", 3, 32, 32, 10, 7));
    OK(ot_model_build(&c, "resnet20", 3, 32, 32, 10, 8));
    for (int k = 0; k < ot_network_crossbars(a); k++) {
        const ot_layer *l = ot_network_crossbar(a, k);
        size_t n = ot_layer_weights(l);
        double sum = 0, squares = 0;
        ASSERT_MEM_EQ(l->weight, ot_network_crossbar(b, k)->weight, n * sizeof(float));
        ASSERT(memcmp(l->weight, ot_network_crossbar(c, k)->weight, n * sizeof(float)));
        for (size_t i = 0; i < n; i++) sum += l->weight[i], squares += (double)l->weight[i] * l->weight[i];
        /* sd of a sample sd is 1 / sqrt(2 n), of a mean 1 / sqrt(n): 5 of them */
        double want = sqrt(2.0 / ot_layer_fan_in(a, l));
        ASSERT_IN_RANGE(want, sqrt(squares / n), 5 * want / sqrt(2.0 * n));
        ASSERT_IN_RANGE(0, sum / n, 5 * want / sqrt((double)n));
    }
    ot_network_free(a);
    ot_network_free(b);
    ot_network_free(c);
    PASS();
}

TEST names_widths_and_sizes_that_do_not_go_say_what_would(void)
{
    ot_network *net = NULL;
    FAILS(OT_E_RANGE, "'lenet6' is not a built-in network; there are lenet5, vgg-s", ot_model_build(&net, "lenet6", 1, 28, 28, 10, 1));
    FAILS(OT_E_RANGE, "vgg16-3-512", ot_model_build(&net, "vgg16-", 3, 32, 32, 10, 1));
    FAILS(OT_E_RANGE, "snn-xs", ot_model_build(&net, "", 3, 32, 32, 10, 1));
    FAILS(OT_E_RANGE, "'lenet@0.5' is not a built-in network", ot_model_build(&net, "lenet@0.5", 3, 32, 32, 10, 1));
    static const char *const texts[] = {"", "x", "0.5x", "-1", "nan", "inf", "1e-1", "0x1p-1", "0.5@0.5", "1.2.3", ".", " 0.5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char name[40], words[80];
        snprintf(name, sizeof name, "mobilenet@%s", texts[i]);
        snprintf(words, sizeof words, "a width of '%s', want a number such as 0.25", texts[i]);
        FAILS(OT_E_RANGE, words, ot_model_build(&net, name, 3, 32, 32, 10, 1));
    }
    FAILS(OT_E_RANGE, "a width of 0, want 0.01..8", ot_model_build(&net, "mobilenet@0", 3, 32, 32, 10, 1));
    FAILS(OT_E_RANGE, "a width of 0.009, want 0.01..8", ot_model_build(&net, "mobilenet@0.009", 3, 32, 32, 10, 1));
    FAILS(OT_E_RANGE, "a width of 8.5, want 0.01..8", ot_model_build(&net, "mobilenet@8.5", 3, 32, 32, 10, 1));
    FAILS(OT_E_SHAPE, "10 x 28", ot_model_build(&net, "lenet5", 1, 10, 28, 10, 1));
    FAILS(OT_E_SHAPE, "vgg16-3@0.1: images are 28 x 28, want 32 x 32", ot_model_build(&net, "vgg16-3@0.1", 1, 28, 28, 10, 1));
    FAILS(OT_E_SHAPE, "0 channels", ot_model_build(&net, "lenet5", 0, 28, 28, 10, 1));
    FAILS(OT_E_RANGE, "1 classes", ot_model_build(&net, "lenet5", 1, 28, 28, 1, 1));
    ASSERT_EQ(NULL, net);
    PASS();
}

/* One channel a layer: what is allocated is the same, and building it a thousand times takes no time. */
TEST every_failed_allocation_is_reported_and_nothing_leaks(int i)
{
    char name[40];
    snprintf(name, sizeof name, "%s@0.01", ot_model_name(i));
    for (size_t n = 1;; n++) {
        ot_network *net = NULL;
        size_t live = ot_memory_now().live;
        ot_memory_fail_at(n);
        ot_status st = ot_model_build(&net, name, 1, 32, 32, 2, 1);
        ot_memory_fail_at(0);
        if (st == OT_OK) {
            ot_network_free(net);
            ASSERT_EQ(live, ot_memory_now().live);
            ASSERT(n > 20); /* there were so many to fail */
            break;
        }
        ASSERT_EQ(live, ot_memory_now().live);
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT_EQ(NULL, net);
    }
    PASS();
}

/* ---- every network, narrow, at work ---- */

enum { IMAGES = 12, CLASSES = 3 };

/* Network i of the list with a tenth of its channels; spiking ones with so many steps, 0: their own. */
static ot_status narrow(ot_network **net, int i, int steps)
{
    char name[40];
    snprintf(name, sizeof name, "%s@0.1", ot_model_name(i));
    ot_status st = ot_model_build(net, name, 3, 32, 32, CLASSES, 5);
    if (st == OT_OK && steps && ot_network_spikes(*net)) st = ot_network_set_spiking(*net, &(ot_spiking){.steps = steps});
    return st;
}

static ot_status logits_of(float *out, const ot_network *net, const ot_data *data)
{
    ot_backend *be = NULL;
    ot_plan *plan = NULL;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.tile = 4;
    check_poison(out, (size_t)data->n * CLASSES);
    ot_status st = ot_backend_open(&be, "cpu", NULL);
    if (st == OT_OK) st = ot_plan_open(&plan, be, net, &opt);
    if (st == OT_OK) st = ot_plan_load(plan, NULL);
    if (st == OT_OK) st = ot_plan_forward(plan, data, NULL, data->n, out, NULL);
    ot_plan_free(plan);
    ot_backend_close(be);
    return st;
}

static ot_status remember(void *user, int epoch, double loss, double train, double test, double lr)
{
    (void)train, (void)test, (void)lr;
    ((double *)user)[epoch] = loss;
    return OT_OK;
}

/* Twelve images by heart: the loss falls, and every crossbar has moved (without weight decay, gradients alone can do that). */
TEST a_narrow_one_learns(int i)
{
    enum { EPOCHS = 8, STEPS = 12 };
    double loss[EPOCHS];
    ot_network *net, *before;
    ot_train_options o = ot_train_defaults();
    o.optimizer = OT_OPTIMIZER_ADAM;
    o.lr = 0.002;
    o.weight_decay = 0;
    o.epochs = EPOCHS;
    o.minibatch = IMAGES;
    o.threads = 1;
    OK(narrow(&net, i, STEPS));
    OK(narrow(&before, i, STEPS));
    ot_data *data = net_data(net, 9, IMAGES, 1);
    OK(ot_train_normalise(net, data));
    OK(ot_train(net, "cpu", data, NULL, &o, remember, loss));
    if (!(loss[EPOCHS - 1] < loss[0])) printf("\n%s: loss %g at first, %g at last\n", ot_network_name(net), loss[0], loss[EPOCHS - 1]);
    ASSERTm(ot_network_name(net), loss[EPOCHS - 1] < loss[0]);
    for (int k = 0; k < ot_network_crossbars(net); k++) {
        const ot_layer *l = ot_network_crossbar(net, k);
        for (size_t x = 0; x < ot_layer_weights(l); x++) ASSERTm(l->name, isfinite(l->weight[x]));
        ASSERTm(l->name, memcmp(l->weight, ot_network_crossbar(before, k)->weight, ot_layer_weights(l) * sizeof(float)));
    }
    ot_data_free(data);
    ot_network_free(before);
    ot_network_free(net);
    PASS();
}

TEST a_narrow_one_reads_back_with_equal_logits(int i)
{
    char path[4096];
    float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
    ot_network *net, *back;
    OK(narrow(&net, i, 0));
    ot_data *data = net_data(net, 3, IMAGES, 1);
    OK(ot_train_normalise(net, data));
    snprintf(path, sizeof path, "%s/narrow.onnx", check_scratch());
    OK(ot_network_save(net, path, NULL, NULL));
    OK(ot_network_open(&back, path));
    ASSERT_STR_EQ(ot_network_name(net), ot_network_name(back));
    const counts a = count(net), b = count(back);
    ASSERT(a.convs == b.convs && a.dense == b.dense && a.relus == b.relus && a.spikes == b.spikes && a.weights == b.weights);
    ASSERT(a.parameters == b.parameters && a.macs == b.macs);
    OK(logits_of(want, net, data));
    OK(logits_of(got, back, data));
    CHECK_CLOSE(want, got, IMAGES * CLASSES, 0.0); /* the same sums in the same order */
    int differ = 0;
    for (int x = CLASSES; x < IMAGES * CLASSES; x++) differ |= want[x] != want[x % CLASSES];
    ASSERTm("logits depend on the image", differ);
    ot_data_free(data);
    ot_network_free(back);
    ot_network_free(net);
    PASS();
}

SUITE(test_models)
{
    RUN_TEST(layer_tables_are_the_published_ones);
    RUN_TEST(widths_scale_every_channel_count);
    RUN_TEST(multiply_accumulates_are_the_published_ones_layer_by_layer);
    RUN_TEST(resnet18_adds_before_its_second_relu);
    RUN_TEST(every_listed_network_builds_at_its_smallest_size);
    RUN_TEST(a_width_of_one_changes_nothing);
    RUN_TEST(a_seed_gives_one_network_of_he_normal_weights);
    RUN_TEST(names_widths_and_sizes_that_do_not_go_say_what_would);
    for (int i = 0; ot_model_name(i); i++) {
        greatest_set_test_suffix(ot_model_name(i));
        RUN_TEST1(every_failed_allocation_is_reported_and_nothing_leaks, i);
        greatest_set_test_suffix(ot_model_name(i));
        RUN_TEST1(a_narrow_one_learns, i);
        greatest_set_test_suffix(ot_model_name(i));
        RUN_TEST1(a_narrow_one_reads_back_with_equal_logits, i);
    }
}
