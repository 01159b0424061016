/* network.c - the network itself: a growing list of layers that owns its numbers.
 *
 * ot_network_add checks one layer's description against what it reads, works out its shape (shape.c) and copies the arrays, so
 * that a network is never in a half-valid state.  The rest is getters. */
#include "impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ot_status ot_network_new(ot_network **out, const char *name, int c, int h, int w)
{
    if (c < 1 || h < 1 || w < 1 || (int64_t)c * h > OT_MAX_IMAGE || (int64_t)c * h * w > OT_MAX_IMAGE)
        OT_FAIL(OT_E_SHAPE, "network '%s': input shape (%d, %d, %d), want positive and at most %d elements", name, c, h, w, OT_MAX_IMAGE);
    ot_network *net = ot_alloc(1, sizeof *net);
    if (!net || !(net->name = ot_strdup(name)) || !(net->layers = ot_alloc(16, sizeof *net->layers)) ||
        !(net->mean = ot_alloc((size_t)c, sizeof(float))) || !(net->std = ot_alloc((size_t)c, sizeof(float))) ||
        !(net->layers[0].name = ot_strdup("input"))) {
        ot_network_free(net);
        OT_NOMEM(name, sizeof *net);
    }
    net->room = 16;
    net->n = 1;
    net->layers[0] = (ot_layer){.op = OT_OP_INPUT, .name = net->layers[0].name, .in = {-1, -1}, .c = c, .h = h, .w = w, .crossbar = -1, .relu = -1, .spike = -1};
    for (int i = 0; i < c; i++) net->std[i] = 1;
    *out = net;
    return OT_OK;
}

static void layer_free(ot_layer *l)
{
    ot_free((char *)l->name);
    ot_free(l->weight);
    ot_free(l->bias);
    ot_free(l->gamma);
    ot_free(l->beta);
    ot_free(l->mean);
    ot_free(l->var);
}

void ot_network_free(ot_network *net)
{
    if (!net) return;
    for (int i = 0; net->layers && i < net->n; i++) layer_free(&net->layers[i]);
    if (net->layers && net->n == 0) ot_free((char *)net->layers[0].name);      /* ot_network_new ran out of memory */
    for (int i = 0; i < net->n_class_names; i++) ot_free(net->class_names[i]);
    for (int i = 0; i < net->n_warnings; i++) ot_free(net->warnings[i]);
    ot_free(net->class_names);
    ot_free(net->layers);
    ot_free(net->name);
    ot_free(net->mean);
    ot_free(net->std);
    ot_free(net);
}

ot_status ot__network_warn(ot_network *net, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (net->n_warnings == OT_MAX_WARNINGS) return OT_OK;
    if (!(net->warnings[net->n_warnings] = ot_strdup(text))) OT_NOMEM("a warning", strlen(text));
    net->n_warnings++;
    return OT_OK;
}


size_t ot_layer_weights(const ot_layer *l)
{
    return l->crossbar < 0 ? 0 : (size_t)l->c * (size_t)(l->in_c / l->groups) * (size_t)l->kh * (size_t)l->kw;
}

static ot_status copy(float **to, const float *from, size_t n, const char *name, const char *what)
{
    if (!(*to = ot_alloc(n, sizeof(float)))) OT_FAIL(OT_E_NOMEM, "layer '%s': no memory for %zu numbers of %s", name, n, what);
    for (size_t i = 0; from && i < n; i++) {
        if (!isfinite(from[i])) OT_FAIL(OT_E_DATA, "layer '%s': %s[%zu] = %g, want a finite number", name, what, i, (double)from[i]);
        (*to)[i] = from[i];
    }
    return OT_OK;
}

static ot_status copy_arrays(ot_layer *l, const ot_layer *desc)
{
    size_t c = (size_t)l->c;
    l->weight = l->bias = l->gamma = l->beta = l->mean = l->var = NULL;
    switch (l->op) {
    case OT_OP_CONV: case OT_OP_DENSE:
        OT_TRY(copy(&l->weight, desc->weight, ot_layer_weights(l), l->name, "weight"));
        if (desc->bias) OT_TRY(copy(&l->bias, desc->bias, c, l->name, "bias"));
        return OT_OK;
    case OT_OP_BIAS: return copy(&l->bias, desc->bias, c, l->name, "bias");
    case OT_OP_BATCH_NORM:
        if (!(l->eps >= 0 && l->eps < 1)) OT_FAIL(OT_E_DATA, "layer '%s': batch norm epsilon = %g, want 0..1", l->name, (double)l->eps);
        OT_TRY(copy(&l->gamma, desc->gamma, c, l->name, "gamma"));
        OT_TRY(copy(&l->beta, desc->beta, c, l->name, "beta"));
        OT_TRY(copy(&l->mean, desc->mean, c, l->name, "mean"));
        OT_TRY(copy(&l->var, desc->var, c, l->name, "var"));
        for (size_t i = 0; i < c; i++)
            if (!(l->var[i] >= 0 && l->var[i] + l->eps > 0) && desc->var)
                OT_FAIL(OT_E_DATA, "layer '%s': var[%zu] = %g, want a positive number", l->name, i, (double)l->var[i]);
        return OT_OK;
    default: return OT_OK;
    }
}

ot_status ot_network_add(ot_network *net, const ot_layer *desc, int *index)
{
    if (net->n == net->room) {
        ot_layer *more = ot_realloc(net->layers, (size_t)net->room * 2, sizeof *more);
        if (!more) OT_NOMEM(net->name, (size_t)net->room * 2 * sizeof *more);
        net->layers = more;
        net->room *= 2;
    }
    ot_layer *l = &net->layers[net->n];
    *l = *desc;
    int two = l->op == OT_OP_ADD;
    for (int i = 0; i <= two; i++)
        if (l->in[i] < 0 || l->in[i] >= net->n)
            OT_FAIL(OT_E_SHAPE, "layer '%s': reads layer %d, want 0..%d", l->name, l->in[i], net->n - 1);
    if (!two) l->in[1] = -1;
    for (int i = 0; i < net->n; i++)
        if (!strcmp(net->layers[i].name, l->name)) OT_FAIL(OT_E_FORMAT, "two layers are called '%s', want unique names", l->name);
    const ot_layer *a = &net->layers[l->in[0]];
    l->in_c = a->c;
    OT_TRY(ot__layer_shape(l, a, two ? &net->layers[l->in[1]] : NULL));
    int crossbar = l->op == OT_OP_CONV || l->op == OT_OP_DENSE;
    l->crossbar = crossbar ? net->n_crossbars : -1;
    l->relu = l->op == OT_OP_RELU ? net->n_relus : -1;
    l->spike = l->op == OT_OP_SPIKE ? net->n_spikes : -1;
    l->timed = l->op == OT_OP_SPIKE || a->timed || (two && net->layers[l->in[1]].timed);
    if (l->op == OT_OP_RELU && net->n_spikes)
        OT_FAIL(OT_E_UNSUPPORTED, "layer '%s': a ReLU in a spiking network, want one kind or the other", l->name);
    if (l->op == OT_OP_SPIKE) OT_TRY(ot__spike_check(net, l));
    if (l->op == OT_OP_RELU && !(l->clip > 0)) OT_FAIL(OT_E_DATA, "layer '%s': clip = %g, want a positive number", l->name, (double)l->clip);
    if (l->op == OT_OP_RELU && l->codes) OT_TRY(ot__check_codes(l->name, l->codes, (double)l->step));
    if (crossbar && ot_layer_weights(l) > OT_MAX_ELEMENTS)
        OT_FAIL(OT_E_SHAPE, "layer '%s': %zu weights, want at most %d", l->name, ot_layer_weights(l), OT_MAX_ELEMENTS);
    if (!(l->name = ot_strdup(desc->name))) OT_NOMEM("a layer's name", strlen(desc->name));
    ot_status st = copy_arrays(l, desc);
    if (st != OT_OK) {
        layer_free(l);
        return st;
    }
    net->n_crossbars += crossbar;
    net->n_relus += l->op == OT_OP_RELU;
    net->n_spikes += l->op == OT_OP_SPIKE;
    if (index) *index = net->n;
    net->n++;
    return OT_OK;
}

ot_status ot_network_copy(ot_network **out, const ot_network *from)
{
    ot_network *net;
    const ot_layer *in = &from->layers[0];
    ot_status st = ot_network_new(&net, from->name, in->c, in->h, in->w);
    if (st != OT_OK) return st;
    for (int i = 1; i < from->n; i++) OT_TRY_TO(fail, st, ot_network_add(net, &from->layers[i], NULL));
    OT_TRY_TO(fail, st, ot_network_set_normalisation(net, from->mean, from->std));
    net->bits = from->bits;
    net->spiking = from->spiking;
    if (from->n_class_names && !(net->class_names = ot_alloc((size_t)from->n_class_names, sizeof(char *))))
        OT_FAIL_TO(fail, st, OT_E_NOMEM, "%s: no memory for class names", from->name);
    for (; net->n_class_names < from->n_class_names; net->n_class_names++)
        if (!(net->class_names[net->n_class_names] = ot_strdup(from->class_names[net->n_class_names])))
            OT_FAIL_TO(fail, st, OT_E_NOMEM, "%s: no memory for class names", from->name);
    for (int i = 0; i < from->n_warnings; i++) OT_TRY_TO(fail, st, ot__network_warn(net, "%s", from->warnings[i]));
    *out = net;
    return OT_OK;
fail:
    ot_network_free(net);
    return st;
}
