/* nets.c - see nets.h. */
#include "models/model.h"
#include "nets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int number;

static int add(ot_network *net, ot_layer *l)
{
    char name[32];
    int  index = -1;
    snprintf(name, sizeof name, "layer%d", number++);
    l->name = name;
    if (ot_network_add(net, l, &index) != OT_OK) {
        printf("\nnets.c: %s\n", ot_last_error());
        abort();
    }
    return index;
}

static float *normal(check_rng *r, size_t n, double mean, double sd)
{
    float *p = ot_alloc(n, sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = (float)(mean + sd * check_normal(r));
    return p;
}

int net_conv(ot_network *net, check_rng *r, int in, int c, int k, int stride, int pad, int groups, int bias)
{
    int      fan = ot_network_layer(net, in)->c / groups * k * k;
    ot_layer l = {.op = OT_OP_CONV, .in = {in, -1}, .c = c, .groups = groups, .kh = k, .kw = k, .sh = stride, .sw = stride, .pt = pad, .pl = pad, .pb = pad, .pr = pad};
    l.weight = normal(r, (size_t)c * (size_t)fan, 0, sqrt(2.0 / fan));
    if (bias) l.bias = normal(r, (size_t)c, 0, 0.1);
    int i = add(net, &l);
    ot_free(l.weight);
    ot_free(l.bias);
    return i;
}

int net_dense(ot_network *net, check_rng *r, int in, int c)
{
    int      fan = ot_network_layer(net, in)->c;
    ot_layer l = {.op = OT_OP_DENSE, .in = {in, -1}, .c = c};
    l.weight = normal(r, (size_t)c * (size_t)fan, 0, sqrt(2.0 / fan));
    l.bias = normal(r, (size_t)c, 0, 0.1);
    int i = add(net, &l);
    ot_free(l.weight);
    ot_free(l.bias);
    return i;
}

int net_batch_norm(ot_network *net, check_rng *r, int in)
{
    size_t   c = (size_t)ot_network_layer(net, in)->c;
    ot_layer l = {.op = OT_OP_BATCH_NORM, .in = {in, -1}, .eps = 1e-5f};
    l.gamma = normal(r, c, 1, 0.2);
    l.beta = normal(r, c, 0, 0.3);
    l.mean = normal(r, c, 0, 0.2);
    l.var = normal(r, c, 1, 0.1);
    int i = add(net, &l);
    ot_free(l.gamma);
    ot_free(l.beta);
    ot_free(l.mean);
    ot_free(l.var);
    return i;
}

int net_bias(ot_network *net, check_rng *r, int in)
{
    ot_layer l = {.op = OT_OP_BIAS, .in = {in, -1}, .bias = normal(r, (size_t)ot_network_layer(net, in)->c, 0, 0.2)};
    int      i = add(net, &l);
    ot_free(l.bias);
    return i;
}

int net_relu(ot_network *net, int in, float clip) { return add(net, &(ot_layer){.op = OT_OP_RELU, .in = {in, -1}, .clip = clip}); }
int net_spike(ot_network *net, int in, float threshold, float leak, ot_reset reset, float u_rst)
{
    return add(net, &(ot_layer){.op = OT_OP_SPIKE, .in = {in, -1}, .threshold = threshold, .leak = leak, .reset = reset, .u_rst = u_rst});
}
int net_add(ot_network *net, int a, int b) { return add(net, &(ot_layer){.op = OT_OP_ADD, .in = {a, b}}); }
int net_global(ot_network *net, int in) { return add(net, &(ot_layer){.op = OT_OP_GLOBAL_AVG, .in = {in, -1}}); }

int net_pool(ot_network *net, int in, ot_op op, int k, int stride, int pad)
{
    return add(net, &(ot_layer){.op = op, .in = {in, -1}, .kh = k, .kw = k, .sh = stride, .sw = stride, .pt = pad, .pl = pad, .pb = pad, .pr = pad});
}

int net_pad(ot_network *net, int in, int channels, int space)
{
    return add(net, &(ot_layer){.op = OT_OP_PAD, .in = {in, -1}, .pad_before = {channels, space, 0}, .pad_after = {channels, 0, space}});
}

int net_slice(ot_network *net, int in, int step)
{
    const ot_layer *l = ot_network_layer(net, in);
    return add(net, &(ot_layer){.op = OT_OP_SLICE, .in = {in, -1}, .c = l->c, .h = (l->h + step - 1) / step, .w = (l->w + step - 1) / step, .slice_step = {1, step, step}});
}

int net_flatten(ot_network *net, int in)
{
    const ot_layer *l = ot_network_layer(net, in);
    return add(net, &(ot_layer){.op = OT_OP_RESHAPE, .in = {in, -1}, .c = l->c * l->h * l->w, .h = 1, .w = 1});
}

ot_network *net_everything(uint64_t seed, int branch)
{
    check_rng   r = {seed};
    ot_network *net;
    if (ot_network_new(&net, "everything", 3, 13, 11) != OT_OK) abort();
    int x = net_relu(net, net_batch_norm(net, &r, net_conv(net, &r, 0, 8, 3, 1, 1, 1, 0)), INFINITY);          /* ReLU 0 */
    int a = net_relu(net, net_batch_norm(net, &r, net_conv(net, &r, x, 8, 3, 1, 1, 8, 0)), 6);                 /* 1: depthwise, clip */
    int b = net_batch_norm(net, &r, net_conv(net, &r, a, 8, 1, 1, 0, 1, 0));
    int y = net_relu(net, net_add(net, b, x), INFINITY);                                                       /* 2: residual */
    int s = net_batch_norm(net, &r, net_conv(net, &r, y, 18, 1, 2, 0, 1, 0));                                  /* shortcut */
    int c = net_relu(net, net_conv(net, &r, y, 18, 3, 2, 1, 2, 1), 1.5f);                                      /* 3 */
    int d = net_batch_norm(net, &r, net_conv(net, &r, c, 18, 3, 1, 1, 1, 0));
    int z = net_relu(net, net_add(net, s, d), INFINITY);                                                       /* 4 */
    int p = net_pad(net, net_slice(net, y, 2), 5, 0);                                                          /* y has three readers */
    int q = net_relu(net, net_add(net, z, p), INFINITY);                                                       /* 5 */
    int m = net_pool(net, q, OT_OP_MAX_POOL, 3, 2, 1);
    int v = net_pool(net, net_bias(net, &r, m), OT_OP_AVG_POOL, 2, 1, 0);
    int w = net_relu(net, net_batch_norm(net, &r, net_add(net, v, v)), 4);                                     /* 6: pre-activation */
    if (branch) net_relu(net, net_conv(net, &r, w, 4, 3, 1, 1, 1, 1), INFINITY);
    int f = net_flatten(net, net_conv(net, &r, net_pad(net, w, 0, 1), 7, 3, 1, 0, 1, 1));
    int g = net_relu(net, net_dense(net, &r, f, 12), INFINITY);                                                /* 7 (8 with a branch) */
    net_dense(net, &r, g, 5);
    return net;
}

ot_data *net_data(const ot_network *net, uint64_t seed, int n, int bytes)
{
    check_rng       r = {seed};
    const ot_layer *in = ot_network_layer(net, 0);
    size_t          all = (size_t)n * (size_t)in->c * (size_t)in->h * (size_t)in->w;
    ot_data        *d = ot_alloc(1, sizeof *d);
    *d = (ot_data){.name = ot_strdup("random"), .n = n, .c = in->c, .h = in->h, .w = in->w, .classes = ot_network_classes(net), .labels = ot_alloc((size_t)n, sizeof(int32_t))};
    if (bytes) {
        d->pixels = ot_alloc(all, 1);
        for (size_t i = 0; i < all; i++) d->pixels[i] = (uint8_t)(256 * check_uniform(&r));
    } else {
        d->values = ot_alloc(all, sizeof *d->values);
        check_fill_normal(&r, d->values, all, 1);
    }
    for (int i = 0; i < n; i++) d->labels[i] = (int32_t)(check_uniform(&r) * d->classes);
    return d;
}

const char *net_backend(int i)
{
    static const char *const names[] = {"ref", "cpu", "cuda"};
    static int               have[3] = {-1, -1, -1};
    int                      seen = 0;
    for (int k = 0; k < 3; k++) {
        ot_backend *be;
        if (have[k] < 0) {
            have[k] = ot_backend_open(&be, names[k], NULL) == OT_OK;
            if (have[k]) ot_backend_close(be);
        }
        if (have[k] && seen++ == i) return names[k];
    }
    return NULL;
}

ot_status net_tiny(ot_network **net, uint64_t seed)
{
    ot_model m = {.seed = seed, .classes = NET_TINY_CLASSES};
    m.st = ot_network_new(&m.net, "tiny", 1, NET_TINY_SIDE, NET_TINY_SIDE);
    ot__model_conv_norm_relu(&m, "a", 4, 3, 1, 1);
    ot__model_max_pool(&m, "pool", 2);
    ot__model_conv(&m, "b.conv", 4, 3, 1, 1, 2, 1);
    ot__model_relu(&m, "b.relu");
    ot__model_flatten(&m, "flatten");
    ot__model_dense(&m, "dense", NET_TINY_CLASSES);
    *net = m.net;
    return m.st;
}
