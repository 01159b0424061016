/* model.c - the list of built-in networks, and the calls their files are written with (model.h). */
#include "model.h"
#include "base/fail.h"
#include "train/draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *text;
    int least; /* smallest height and width that leave something after all the strides */
    void (*build)(ot_model *m);
} models[] = {
    {"lenet5", "LeNet-5: two 5x5 convolutions with max-pooling, three dense layers, no batch norm", 12, ot__build_lenet5},
    {"vgg-s", "small VGG: 3x3 convolutions 32, 64, 128, 128 with batch norm, three max-pools, one dense layer", 8, ot__build_vgg_s},
    {"resnet8", "ResNet with 3 residual blocks of 16, 32, 64 channels", 4, ot__build_resnet8},
    {"resnet20", "ResNet with 9 residual blocks of 16, 32, 64 channels", 4, ot__build_resnet20},
    {"resnet18", "ResNet-18 for 32 x 32 images: 8 residual blocks of 64 to 512 channels, 1x1 convolutions in the shortcuts", 4,
     ot__build_resnet18},
    {"mobilenet-s", "small MobileNet: a strided stem and seven depthwise-separable blocks up to 128 channels", 4,
     ot__build_mobilenet_s},
    {"mobilenet", "MobileNet v1 for 32 x 32 images: 13 depthwise-separable blocks up to 1024 channels", 4, ot__build_mobilenet},
    {"vgg11", "VGG-11 with batch norm and one dense layer (8+1), for 32 x 32 images", 32, ot__build_vgg11},
    {"vgg16", "VGG-16 with batch norm and one dense layer (13+1), for 32 x 32 images", 32, ot__build_vgg16},
    {"vgg16-3", "VGG-16 with batch norm and three dense layers of 4096, 4096, classes (13+3), for 32 x 32 images", 32, ot__build_vgg16_3},
    {"vgg16-3-512", "the same with dense layers of 512, 512, classes", 32, ot__build_vgg16_3_512},
    {"snn-vgg9", "spiking VGG-9 of paper 002: 7 convolutions, 2 dense layers, average pooling of spikes, 25 steps", 8, ot__build_snn_vgg9},
    {"snn-vgg9-max", "the same with max-pooling, so that every crossbar sees spikes alone", 8, ot__build_snn_vgg9_max},
    {"snn-s", "small spiking network: five strided convolutions with batch norm, one dense layer, 6 steps", 4, ot__build_snn_s},
    {"snn-xs", "smaller: three strided convolutions, one dense layer, 8 steps", 4, ot__build_snn_xs},
};
enum { N_MODELS = sizeof models / sizeof *models };

const char *ot_model_name(int i) { return i >= 0 && i < N_MODELS ? models[i].name : NULL; }
const char *ot_model_text(int i) { return i >= 0 && i < N_MODELS ? models[i].text : NULL; }

static ot_status unknown(const char *name)
{
    char list[512] = "";
    for (int i = 0; i < N_MODELS; i++) {
        if (i) strncat(list, ", ", sizeof list - strlen(list) - 1);
        strncat(list, models[i].name, sizeof list - strlen(list) - 1);
    }
    OT_FAIL(OT_E_RANGE, "'%s' is not a built-in network; there are %s", name, list);
}

/* What follows the @ of NAME@WIDTH; 1 where there is none. */
static ot_status read_width(double *width, const char *name)
{
    const char *text = strchr(name, '@');
    char *end = NULL;
    *width = 1;
    if (!text++) return OT_OK;
    if (*text && !text[strspn(text, "0123456789.")]) *width = strtod(text, &end);
    if (!end || *end) OT_FAIL(OT_E_RANGE, "'%s': a width of '%s', want a number such as 0.25", name, text);
    if (!(*width >= OT_MODEL_WIDTH_MIN && *width <= OT_MODEL_WIDTH_MAX))
        OT_FAIL(OT_E_RANGE, "'%s': a width of %g, want %g..%g", name, *width, OT_MODEL_WIDTH_MIN, OT_MODEL_WIDTH_MAX);
    return OT_OK;
}

ot_status ot_model_build(ot_network **out, const char *name, int c, int h, int w, int classes, uint64_t seed)
{
    int which = 0;
    size_t length = strcspn(name, "@");
    while (which < N_MODELS && (strlen(models[which].name) != length || strncmp(models[which].name, name, length))) which++;
    if (which == N_MODELS) return unknown(name);
    ot_model m = {.seed = seed, .classes = classes};
    OT_TRY(read_width(&m.width, name));
    if (!(c >= 1 && c <= 4096)) OT_FAIL(OT_E_SHAPE, "%s: images have %d channels, want 1..4096", name, c);
    if (!(h >= models[which].least && w >= models[which].least && h <= 4096 && w <= 4096))
        OT_FAIL(OT_E_SHAPE, "%s: images are %d x %d, want %d x %d to 4096 x 4096", name, h, w, models[which].least,
                models[which].least);
    if (!(classes >= 2 && classes <= 65536)) OT_FAIL(OT_E_RANGE, "%s: %d classes, want 2..65536", name, classes);

    m.st = ot_network_new(&m.net, name, c, h, w);
    models[which].build(&m);
    if (m.st != OT_OK) {
        ot_network_free(m.net);
        return m.st;
    }
    *out = m.net;
    return OT_OK;
}

int ot__model_wide(const ot_model *m, int out)
{
    if (m->width <= 0) return out;
    const int n = (int)floor(m->width * out + 0.5);
    return n > 1 ? n : 1;
}

const ot_layer *ot__model_last(const ot_model *m) { return ot_network_layer(m->net, m->at); }

static void add(ot_model *m, const ot_layer *layer)
{
    if (m->st == OT_OK) m->st = ot_network_add(m->net, layer, &m->at);
}

/* He normal weights of the crossbar layer just added. */
static void fill(ot_model *m)
{
    if (m->st != OT_OK) return;
    const ot_layer *l = ot__model_last(m);
    float *w = ot_network_weights(m->net, m->at);
    ot__draw_normals(w, ot_layer_weights(l), m->seed, OT_PURPOSE_WEIGHTS, (uint32_t)l->crossbar,
                     sqrt(2.0 / ot_layer_fan_in(m->net, l)));
}

/* `n` copies of a number, or NULL with the failure kept. */
static float *constant(ot_model *m, int n, float value)
{
    float *p = m->st == OT_OK ? ot_alloc((size_t)n, sizeof *p) : NULL;
    if (!p && m->st == OT_OK) m->st = ot__fail(OT_E_NOMEM, __FILE__, __LINE__, "a layer of %d channels: no memory", n);
    for (int i = 0; p && i < n; i++) p[i] = value;
    return p;
}

void ot__model_conv(ot_model *m, const char *name, int out, int kernel, int stride, int pad, int groups, int with_bias)
{
    const int wide = ot__model_wide(m, out);
    float *bias = with_bias ? constant(m, wide, 0) : NULL;
    add(m, &(ot_layer){.op = OT_OP_CONV,
                       .name = name,
                       .in = {m->at, -1},
                       .c = wide,
                       .groups = groups > 1 ? ot__model_wide(m, groups) : 1,
                       .kh = kernel,
                       .kw = kernel,
                       .sh = stride,
                       .sw = stride,
                       .pt = pad,
                       .pl = pad,
                       .pb = pad,
                       .pr = pad,
                       .bias = bias});
    ot_free(bias);
    fill(m);
}

void ot__model_norm(ot_model *m, const char *name)
{
    if (m->st != OT_OK) return;
    int c = ot__model_last(m)->c;
    float *zeros = constant(m, c, 0), *ones = constant(m, c, 1);
    add(m, &(ot_layer){.op = OT_OP_BATCH_NORM,
                       .name = name,
                       .in = {m->at, -1},
                       .gamma = ones,
                       .beta = zeros,
                       .mean = zeros,
                       .var = ones,
                       .eps = 1e-5f});
    ot_free(zeros);
    ot_free(ones);
}

void ot__model_relu(ot_model *m, const char *name)
{
    add(m, &(ot_layer){.op = OT_OP_RELU, .name = name, .in = {m->at, -1}, .clip = INFINITY});
}

void ot__model_max_pool(ot_model *m, const char *name, int kernel)
{
    add(m,
        &(ot_layer){.op = OT_OP_MAX_POOL, .name = name, .in = {m->at, -1}, .kh = kernel, .kw = kernel, .sh = kernel, .sw = kernel});
}

void ot__model_average_pool(ot_model *m, const char *name, int kernel)
{
    add(m,
        &(ot_layer){.op = OT_OP_AVG_POOL, .name = name, .in = {m->at, -1}, .kh = kernel, .kw = kernel, .sh = kernel, .sw = kernel});
}

void ot__model_spike(ot_model *m, const char *name)
{
    add(m, &(ot_layer){.op = OT_OP_SPIKE, .name = name, .in = {m->at, -1}, .threshold = 1, .leak = 1});
}

void ot__model_conv_norm_spike(ot_model *m, const char *name, int out, int stride)
{
    char text[64];
    snprintf(text, sizeof text, "%s.conv", name);
    ot__model_conv(m, text, out, 3, stride, 1, 1, 0);
    snprintf(text, sizeof text, "%s.norm", name);
    ot__model_norm(m, text);
    snprintf(text, sizeof text, "%s.spike", name);
    ot__model_spike(m, text);
}

void ot__model_spiking(ot_model *m, int steps)
{
    if (m->st == OT_OK) m->st = ot_network_set_spiking(m->net, &(ot_spiking){.steps = steps});
    if (m->st == OT_OK) m->st = ot_network_set_bits(m->net, 6);
}

void ot__model_global_average(ot_model *m, const char *name)
{
    add(m, &(ot_layer){.op = OT_OP_GLOBAL_AVG, .name = name, .in = {m->at, -1}});
}

void ot__model_flatten(ot_model *m, const char *name)
{
    if (m->st != OT_OK) return;
    const ot_layer *l = ot__model_last(m);
    add(m, &(ot_layer){.op = OT_OP_RESHAPE, .name = name, .in = {m->at, -1}, .c = l->c * l->h * l->w, .h = 1, .w = 1});
}

static void dense(ot_model *m, const char *name, int out)
{
    float *bias = constant(m, out, 0);
    add(m, &(ot_layer){.op = OT_OP_DENSE, .name = name, .in = {m->at, -1}, .c = out, .groups = 1, .bias = bias});
    ot_free(bias);
    fill(m);
}

void ot__model_dense(ot_model *m, const char *name, int out) { dense(m, name, ot__model_wide(m, out)); }
void ot__model_classes(ot_model *m, const char *name) { dense(m, name, m->classes); }

void ot__model_add(ot_model *m, const char *name, int other)
{
    add(m, &(ot_layer){.op = OT_OP_ADD, .name = name, .in = {m->at, other}});
}

void ot__model_halve(ot_model *m, const char *slice_name, const char *pad_name, int from, int out)
{
    if (m->st != OT_OK) return;
    const ot_layer *l = ot_network_layer(m->net, from);
    int c = l->c, h = (l->h + 1) / 2, w = (l->w + 1) / 2, wide = ot__model_wide(m, out), before = (wide - c) / 2;
    add(m, &(ot_layer){.op = OT_OP_SLICE, .name = slice_name, .in = {from, -1}, .c = c, .h = h, .w = w, .slice_step = {1, 2, 2}});
    add(m, &(ot_layer){.op = OT_OP_PAD,
                       .name = pad_name,
                       .in = {m->at, -1},
                       .c = wide,
                       .h = h,
                       .w = w,
                       .pad_before = {before, 0, 0},
                       .pad_after = {wide - c - before, 0, 0}});
}

void ot__model_conv_norm_relu(ot_model *m, const char *name, int out, int kernel, int stride, int groups)
{
    char text[64];
    snprintf(text, sizeof text, "%s.conv", name);
    ot__model_conv(m, text, out, kernel, stride, kernel / 2, groups, 0);
    snprintf(text, sizeof text, "%s.norm", name);
    ot__model_norm(m, text);
    snprintf(text, sizeof text, "%s.relu", name);
    ot__model_relu(m, text);
}
