/* test_network.c - building a network layer by layer: shapes, numbers, refusals, copies, flat parameters, metadata. */
#include "nets.h"

#include <math.h>

TEST layers_get_shapes_and_numbers(void)
{
    ot_network *net;
    check_rng r = {1};
    OK(ot_network_new(&net, "small", 3, 9, 7));
    int conv = net_conv(net, &r, 0, 8, 3, 2, 1, 1, 0), norm = net_batch_norm(net, &r, conv), relu = net_relu(net, norm, 6);
    int dw = net_conv(net, &r, relu, 8, 3, 1, 1, 8, 1), sum = net_add(net, dw, relu), relu2 = net_relu(net, sum, INFINITY);
    int flat = net_flatten(net, relu2), fc = net_dense(net, &r, flat, 5);
    const ot_layer *l = ot_network_layer(net, conv);
    ASSERT(l->c == 8 && l->h == 5 && l->w == 4 && l->in_c == 3);
    ASSERT_EQ(3 * 9, ot_layer_fan_in(net, l));
    ASSERT_EQ(9, ot_layer_fan_in(net, ot_network_layer(net, dw)));
    ASSERT_EQ(8 * 27 * 20, ot_network_macs(net, conv));
    ASSERT_EQ(8 * 9 * 20, ot_network_macs(net, dw));
    ASSERT_EQ(0, ot_network_macs(net, relu));
    ASSERT_EQ(72, ot_layer_weights(ot_network_layer(net, dw)));
    ASSERT_EQ(0, ot_layer_weights(ot_network_layer(net, norm)));
    ASSERT_EQ(160, ot_network_layer(net, flat)->c);
    ASSERT_EQ(3, ot_network_crossbars(net));
    ASSERT_EQ(2, ot_network_relus(net));
    ASSERT_EQ(5, ot_network_classes(net));
    ASSERT_EQ(ot_network_layer(net, dw), ot_network_crossbar(net, 1));
    ASSERT_EQ(ot_network_layer(net, fc), ot_network_crossbar(net, 2));
    ASSERT_EQ(ot_network_layer(net, relu2), ot_network_relu(net, 1));
    ASSERT_EQ(NULL, ot_network_crossbar(net, 3));
    ASSERT_EQ(NULL, ot_network_crossbar(net, -1));
    ASSERT_EQ(NULL, ot_network_relu(net, -1));
    ASSERT_EQ(NULL, ot_network_layer(net, 99));
    ot_network_free(net);
    ot_network_free(NULL);
    PASS();
}

/* One row a rule: a layer on an input of (4, 6, 6) that must be refused. */
TEST a_layer_that_does_not_fit_is_refused_and_leaves_the_network_as_it_was(void)
{
    static const struct { ot_status st; ot_layer l; const char *words; } rows[] = {
        {OT_E_SHAPE, {.op = OT_OP_CONV, .c = 6, .groups = 3, .kh = 1, .kw = 1, .sh = 1, .sw = 1}, "3 groups for 4 channels in and 6 out"},
        {OT_E_SHAPE, {.op = OT_OP_CONV, .c = 4, .groups = 1, .kh = 7, .kw = 1, .sh = 1, .sw = 1}, "kernel 7 is larger than its padded input 6"},
        {OT_E_SHAPE, {.op = OT_OP_CONV, .c = 4, .groups = 1, .kh = 1, .kw = 1, .sh = 0, .sw = 1}, "stride 0"},
        {OT_E_SHAPE, {.op = OT_OP_CONV, .c = -1, .groups = 1, .kh = 1, .kw = 1, .sh = 1, .sw = 1}, "-1 out"},
        {OT_E_SHAPE, {.op = OT_OP_DENSE, .c = 4}, "dense on a (4, 6, 6) image, want (n, 1, 1)"},
        {OT_E_SHAPE, {.op = OT_OP_MAX_POOL, .kh = 2, .kw = 2, .sh = 2, .sw = 2, .pt = 2}, "want less than the kernel"},
        {OT_E_SHAPE, {.op = OT_OP_PAD, .pad_before = {0, -1, 0}}, "pads -1 and 0"},
        {OT_E_SHAPE, {.op = OT_OP_SLICE, .c = 4, .h = 4, .w = 6, .slice_step = {1, 2, 1}}, "slice of 4 from 0 by 2 on an axis of 6"},
        {OT_E_SHAPE, {.op = OT_OP_RESHAPE, .c = 4, .h = 6, .w = 7}, "reshape of 144 elements to (4, 6, 7)"},
        {OT_E_SHAPE, {.op = OT_OP_RELU, .in = {1, -1}, .clip = 6}, "reads layer 1, want 0..0"},
        {OT_E_SHAPE, {.op = OT_OP_ADD, .in = {0, -1}}, "reads layer -1, want 0..0"},
        {OT_E_SHAPE, {.op = OT_OP_INPUT}, "only layer 0 is the input"},
        {OT_E_SHAPE, {.op = (ot_op)77}, "operation 77 is not one of ot_op"},
        {OT_E_DATA, {.op = OT_OP_RELU, .clip = 0}, "clip = 0, want a positive number"},
        {OT_E_DATA, {.op = OT_OP_RELU, .clip = NAN}, "clip = "},
        {OT_E_DATA, {.op = OT_OP_BATCH_NORM, .eps = NAN}, "batch norm epsilon = "},
        {OT_E_FORMAT, {.op = OT_OP_GLOBAL_AVG, .name = "input"}, "two layers are called 'input'"},
    };
    ot_network *net;
    OK(ot_network_new(&net, "n", 4, 6, 6));
    size_t live = ot_memory_now().live;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ot_layer l = rows[i].l;
        if (!l.name) l.name = "it";
        int index = -7;
        FAILS(rows[i].st, rows[i].words, ot_network_add(net, &l, &index));
        ASSERT_EQ(-7, index);
        ASSERT_EQ(1, ot_network_layers(net));
        ASSERT_EQ(live, ot_memory_now().live);
    }
    ot_network_free(net);
    FAILS(OT_E_SHAPE, "input shape (0, 6, 6)", ot_network_new(&net, "n", 0, 6, 6));
    FAILS(OT_E_SHAPE, "input shape (4, 100000, 100000)", ot_network_new(&net, "n", 4, 100000, 100000));
    PASS();
}

TEST a_copy_is_equal_and_apart(void)
{
    ot_network *net = net_everything(3, 1), *twin;
    OK(ot_network_set_bits(net, 6));
    OK(ot_network_set_class_names(net, "a,b,c,d,e"));
    OK(ot_network_copy(&twin, net));
    size_t n = ot_network_parameters(net), k = ot_network_statistics(net);
    ASSERT_EQ(n, ot_network_parameters(twin));
    float *a = ot_alloc(n, sizeof *a), *b = ot_alloc(n, sizeof *b), *s = ot_alloc(k, sizeof *s), *t = ot_alloc(k, sizeof *t);
    ot_network_get_parameters(net, a);
    ot_network_get_parameters(twin, b);
    CHECK_CLOSE(a, b, n, 0);
    ASSERT_EQ(6, ot_network_bits(twin));
    ASSERT_STR_EQ("e", ot_network_class_name(twin, 4));
    for (size_t i = 0; i < n; i++) b[i] = (float)i;
    for (size_t i = 0; i < k; i++) t[i] = (float)(i + 1);
    ot_network_set_parameters(twin, b);
    ot_network_set_statistics(twin, t);
    check_poison(s, k);
    ot_network_get_statistics(twin, s);
    CHECK_CLOSE(t, s, k, 0);
    check_poison(b, n);
    ot_network_get_parameters(net, b);                     /* the other one has not moved */
    CHECK_CLOSE(a, b, n, 0);
    ot_free(a);
    ot_free(b);
    ot_free(s);
    ot_free(t);
    ot_network_free(net);
    ot_network_free(twin);
    PASS();
}

TEST lack_of_memory_leaves_nothing_behind(void)
{
    ot_network *net = net_everything(3, 0), *twin;
    OK(ot_network_set_class_names(net, "a,b,c,d,e"));
    size_t live = ot_memory_now().live, n = 1;
    for (;; n++) {
        twin = NULL;
        ot_memory_fail_at(n);
        ot_status st = ot_network_copy(&twin, net);
        ot_memory_fail_at(0);
        ot_network_free(twin);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) break;
        ASSERT_EQ_FMT((int)OT_E_NOMEM, (int)st, "%d");
    }
    ASSERT(n > 40);
    ot_network_free(net);
    PASS();
}

TEST metadata_is_checked(void)
{
    ot_network *net = net_everything(4, 0);
    const float *mean, *std;
    ot_network_normalisation(net, &mean, &std);
    CHECK_CLOSE(((float[]){0, 0, 0}), mean, 3, 0);
    CHECK_CLOSE(((float[]){1, 1, 1}), std, 3, 0);
    FAILS(OT_E_RANGE, "input mean[1]", ot_network_set_normalisation(net, (float[]){0, NAN, 0}, (float[]){1, 1, 1}));
    FAILS(OT_E_RANGE, "input std[2] = 0", ot_network_set_normalisation(net, (float[]){0, 0, 0}, (float[]){1, 1, 0}));
    FAILS(OT_E_RANGE, "weight bits = 1, want 2..16", ot_network_set_bits(net, 1));
    FAILS(OT_E_RANGE, "weight bits = 17, want 2..16", ot_network_set_bits(net, 17));
    FAILS(OT_E_RANGE, "4 class names, want 5", ot_network_set_class_names(net, "a,b,c,d"));
    ASSERT_EQ(NULL, ot_network_class_name(net, 0));
    OK(ot_network_set_class_names(net, "a,,c,d,e e"));
    OK(ot_network_set_class_names(net, "v,w,x,y,z"));
    ASSERT_STR_EQ("z", ot_network_class_name(net, 4));
    ASSERT_EQ(NULL, ot_network_class_name(net, 5));
    ot_network_free(net);
    PASS();
}

SUITE(test_network)
{
    RUN_TEST(layers_get_shapes_and_numbers);
    RUN_TEST(a_layer_that_does_not_fit_is_refused_and_leaves_the_network_as_it_was);
    RUN_TEST(a_copy_is_equal_and_apart);
    RUN_TEST(lack_of_memory_leaves_nothing_behind);
    RUN_TEST(metadata_is_checked);
}
