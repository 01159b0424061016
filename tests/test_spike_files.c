/* test_spike_files.c - spiking networks as files: nodes and metadata that are wrong, networks that make no sense, sizes of the built-in ones. */
#include "base/fail.h"
#include "nets.h"
#include "ohmtrim/train.h"
#include "onnx_build.h"

#include <math.h>
#include <string.h>

#define REFUSED(STATUS, WORDS)                  \
    do {                                        \
        ot_network *net_ = NULL;                \
        FAILS((STATUS), (WORDS), build_read(&net_)); \
    } while (0)

/* A file with one IF node. */
static void on_if(const char *attributes, const char *steps)
{
    static Onnx__OperatorSetIdProto own;
    build_start(13);
    build_input("x", 1, "N,3,8,8");
    build_node("IF", "it", "x", "y", attributes);
    build_last_node()->domain = (char *)(uintptr_t)"ohmtrim";
    build_output("y");
    if (steps) build_meta("ohmtrim.steps", steps);
    onnx__operator_set_id_proto__init(&own);
    own.domain = (char *)(uintptr_t)"ohmtrim";
    own.has_version = 1;
    own.version = 1;
    build_model()->opset_import[build_model()->n_opset_import++] = &own;
}

TEST bad_nodes_are_one_sentence(void)
{
    static const struct { const char *attributes, *words; ot_status st; } rows[] = {
        {"", "node 'it' (IF, opset 13): no threshold, want attribute 'threshold'", OT_E_FORMAT},
        {"threshold=0.0", "layer 'it': threshold = 0, want a finite number above 0", OT_E_DATA},
        {"threshold=-1.0", "layer 'it': threshold = -1, want", OT_E_DATA},
        {"threshold=1.0 leak=0.0", "layer 'it': leak = 0, want above 0 and at most 1", OT_E_DATA},
        {"threshold=1.0 leak=1.5", "layer 'it': leak = 1.5, want above 0 and at most 1", OT_E_DATA},
        {"threshold=1.0 reset='soft'", "reset 'soft', want subtract, fixed, zero or once", OT_E_FORMAT},
        {"threshold=1.0 reset='fixed'", "layer 'it': u_rst = nan, want a finite number above 0", OT_E_DATA},
        {"threshold=1.0 reset='fixed' u_rst=-0.5", "layer 'it': u_rst = -0.5, want", OT_E_DATA},
    };
    static const struct { const char *key, *value, *words; } metas[] = {
        {"ohmtrim.steps", "0", "metadata ohmtrim.steps = '0', want 1..1024"},
        {"ohmtrim.steps", "1025", "metadata ohmtrim.steps = '1025', want a whole number of at most 1024"},
        {"ohmtrim.steps", "-3", "metadata ohmtrim.steps = '-3', want a whole number"},
        {"ohmtrim.steps", "5x", "metadata ohmtrim.steps = '5x', want a whole number"},
        {"ohmtrim.coding", "phase", "metadata ohmtrim.coding = 'phase', want direct, rate or latency"},
        {"ohmtrim.spike_seed", "18446744073709551616", "metadata ohmtrim.spike_seed = '18446744073709551616', want a whole number"},
    };
    ot_network *net;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        on_if(rows[i].attributes, "4");
        REFUSED(rows[i].st, rows[i].words);
    }
    for (size_t i = 0; i < sizeof metas / sizeof *metas; i++) {
        on_if("threshold=1.0", NULL);
        build_meta(metas[i].key, metas[i].value);
        REFUSED(OT_E_FORMAT, metas[i].words);
    }
    on_if("threshold=1.0", "4");
    build_model()->opset_import[1]->version = 2;
    REFUSED(OT_E_UNSUPPORTED, "'IF' of domain 'ohmtrim', version 2, want IF of version 1");
    on_if("threshold=1.0", "4");
    build_last_node()->op_type = (char *)(uintptr_t)"Add";
    REFUSED(OT_E_UNSUPPORTED, "'Add' of domain 'ohmtrim'");
    on_if("threshold=1.0", "4");
    build_last_node()->domain = (char *)(uintptr_t)"";
    REFUSED(OT_E_UNSUPPORTED, "this operator is not supported");
    on_if("threshold=1.0", NULL);
    OK(build_read(&net));
    ASSERT(strstr(ot_network_warning(net, 0), "no metadata ohmtrim.steps"));
    ASSERT_EQ(0, ot_network_spiking(net)->steps);
    ot_network_free(net);
    on_if("threshold=0.5 leak=0.9 reset='fixed' u_rst=0.25", "4");
    build_meta("ohmtrim.coding", "rate");
    build_meta("ohmtrim.spike_seed", "18446744073709551615");
    OK(build_read(&net));
    const ot_layer *l = ot_network_spike(net, 0);
    ASSERT(l->threshold == 0.5f && l->leak == 0.9f && l->reset == OT_RESET_FIXED && l->u_rst == 0.25f && l->timed && l->relu == -1);
    ASSERT(ot_network_spiking(net)->steps == 4 && ot_network_spiking(net)->coding == OT_CODING_RATE && ot_network_spiking(net)->seed == UINT64_MAX);
    ot_network_free(net);
    PASS();
}

TEST networks_that_make_no_sense_are_refused(void)
{
    ot_network *net;
    ot_backend *be;
    ot_plan    *plan;
    check_rng   r = {1};
    ot_layer    spike = {.op = OT_OP_SPIKE, .name = "spike", .in = {0, -1}, .threshold = 1, .leak = 1}, relu = {.op = OT_OP_RELU, .name = "relu", .in = {0, -1}, .clip = 6};
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_network_new(&net, "mixed", 2, 4, 4));
    OK(ot_network_add(net, &spike, NULL));
    FAILS(OT_E_UNSUPPORTED, "layer 'relu': a ReLU in a spiking network, want one kind or the other", ot_network_add(net, &relu, NULL));
    FAILS(OT_E_RANGE, "network mixed spikes, but its time steps are not said (metadata ohmtrim.steps), want 1..1024", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));
    FAILS(OT_E_RANGE, "0 time steps, want 1..1024", ot_network_set_spiking(net, &(ot_spiking){.steps = 0}));
    FAILS(OT_E_RANGE, "1025 time steps, want 1..1024", ot_network_set_spiking(net, &(ot_spiking){.steps = 1025}));
    FAILS(OT_E_RANGE, "input coding 7, want direct, rate or latency", ot_network_set_spiking(net, &(ot_spiking){.steps = 3, .coding = (ot_coding)7}));
    OK(ot_network_set_spiking(net, &(ot_spiking){.steps = 3}));
    FAILS(OT_E_RANGE, "surrogate = 3, want one of ot_surrogate", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1, .surrogate = (ot_surrogate)3}));
    FAILS(OT_E_RANGE, "sharpness of the surrogate = -1", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1, .sharpness = -1}));
    FAILS(OT_E_RANGE, "sharpness of the surrogate = nan", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1, .sharpness = NAN}));
    FAILS(OT_E_RANGE, "loss of spikes = 2, want count or rate", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1, .spike_loss = (ot_spike_loss)2}));
    net_add(net, 1, 0);
    FAILS(OT_E_UNSUPPORTED, "its last layer", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));
    net_spike(net, 2, 1, 1, OT_RESET_SUBTRACT, 0);
    FAILS(OT_E_UNSUPPORTED, "adds a still picture and spikes, want two of a kind", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));
    OK(ot_network_set_spiking(net, &(ot_spiking){.steps = 3, .coding = OT_CODING_RATE}));
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));  /* a picture of spikes moves */
    ot_plan_free(plan);
    FAILS(OT_E_UNSUPPORTED, "gradients to images through input spikes do not exist", ot_plan_open(&plan, be, net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = 1, .input_gradient = 1}));
    net_flatten(net, 3);
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));  /* a reshape may follow */
    ot_plan_free(plan);
    net_dense(net, &r, 4, 3);
    FAILS(OT_E_UNSUPPORTED, "classes are told by spike counts, want a spiking layer there", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));
    ot_network_free(net);
    OK(ot_network_new(&net, "mixed", 2, 4, 4));
    OK(ot_network_add(net, &relu, NULL));
    FAILS(OT_E_UNSUPPORTED, "layer 'spike': a spiking layer in a network with ReLU layers, want one kind or the other", ot_network_add(net, &spike, NULL));
    ot_network_free(net);
    ot_backend_close(be);
    PASS();
}

/* --- builders --- */

TEST built_in_spiking_networks_have_their_sizes(void)
{
    static const struct { const char *name; int c, side; size_t weights, parameters; double macs; int spikes, steps; } want[] = {
        {"snn-vgg9", 3, 32, 5938880, 5942218, 194717696, 9, 25},     /* methods: conv and fc weights; with batch norm and biases; MACs a step */
        {"snn-vgg9-max", 3, 32, 5938880, 5942218, 194717696, 9, 25},
        {"snn-s", 1, 28, 159008, 159658, 5772416, 6, 6},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        ot_network *net;
        size_t      weights = 0;
        double      macs = 0;
        OK(ot_model_build(&net, want[i].name, want[i].c, want[i].side, want[i].side, 10, 1));
        for (int l = 0; l < ot_network_layers(net); l++) {
            weights += ot_layer_weights(ot_network_layer(net, l));
            macs += ot_network_macs(net, l);
        }
        ASSERT_EQ_FMT(want[i].weights, weights, "%zu");
        ASSERT_EQ_FMT(want[i].parameters, ot_network_parameters(net), "%zu");
        ASSERT_EQ_FMT(want[i].macs, macs, "%.0f");
        ASSERT_EQ(want[i].spikes, ot_network_spikes(net));
        ASSERT_EQ(want[i].steps, ot_network_spiking(net)->steps);
        ASSERT_EQ(6, ot_network_bits(net));
        OK(ot_network_check_spiking(net));
        ot_network_free(net);
    }
    PASS();
}

SUITE(test_spike_files)
{
    RUN_TEST(bad_nodes_are_one_sentence);
    RUN_TEST(networks_that_make_no_sense_are_refused);
    RUN_TEST(built_in_spiking_networks_have_their_sizes);
}
