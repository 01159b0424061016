/* getters.c - what a network says of itself, and its trainable numbers as flat vectors. */
#include "impl.h"

#include <math.h>
#include <string.h>

int             ot_network_layers(const ot_network *net) { return net->n; }
const ot_layer *ot_network_layer(const ot_network *net, int i) { return i >= 0 && i < net->n ? &net->layers[i] : NULL; }
int             ot_network_crossbars(const ot_network *net) { return net->n_crossbars; }
int             ot_network_relus(const ot_network *net) { return net->n_relus; }
const char     *ot_network_name(const ot_network *net) { return net->name; }
int             ot_network_bits(const ot_network *net) { return net->bits; }
int             ot_layer_fan_in(const ot_network *net, const ot_layer *l) { (void)net; return l->crossbar < 0 ? 0 : l->in_c / l->groups * l->kh * l->kw; }
const char     *ot_network_warning(const ot_network *net, int i) { return i >= 0 && i < net->n_warnings ? net->warnings[i] : NULL; }
const char     *ot_network_class_name(const ot_network *net, int k) { return k >= 0 && k < net->n_class_names ? net->class_names[k] : NULL; }

const ot_layer *ot_network_crossbar(const ot_network *net, int number)
{
    for (int i = 0; i < net->n; i++)
        if (net->layers[i].crossbar == number && number >= 0) return &net->layers[i];
    return NULL;
}

const ot_layer *ot_network_relu(const ot_network *net, int number)
{
    for (int i = 0; i < net->n; i++)
        if (net->layers[i].relu == number && number >= 0) return &net->layers[i];
    return NULL;
}

int ot_network_classes(const ot_network *net)
{
    const ot_layer *l = &net->layers[net->n - 1];
    return l->c * l->h * l->w;
}

float *ot_network_weights(ot_network *net, int layer) { return layer >= 0 && layer < net->n ? net->layers[layer].weight : NULL; }

double ot_network_macs(const ot_network *net, int layer)
{
    const ot_layer *l = ot_network_layer(net, layer);
    return l && l->crossbar >= 0 ? (double)ot_layer_weights(l) * l->h * l->w : 0;
}

void ot_network_normalisation(const ot_network *net, const float **mean, const float **std)
{
    *mean = net->mean;
    *std = net->std;
}

ot_status ot_network_set_normalisation(ot_network *net, const float *mean, const float *std)
{
    for (int i = 0; i < net->layers[0].c; i++) {
        if (!isfinite(mean[i])) OT_FAIL(OT_E_RANGE, "input mean[%d] = %g, want a finite number", i, (double)mean[i]);
        if (!(std[i] > 0 && isfinite(std[i]))) OT_FAIL(OT_E_RANGE, "input std[%d] = %g, want a positive number", i, (double)std[i]);
    }
    memcpy(net->mean, mean, (size_t)net->layers[0].c * sizeof *mean);
    memcpy(net->std, std, (size_t)net->layers[0].c * sizeof *std);
    return OT_OK;
}

ot_status ot_network_set_bits(ot_network *net, int bits)
{
    if (bits != 0 && (bits < 2 || bits > 16)) OT_FAIL(OT_E_RANGE, "weight bits = %d, want 2..16 (0: not said)", bits);
    net->bits = bits;
    return OT_OK;
}

ot_status ot__check_codes(const char *name, int codes, double step)
{
    if (codes < 1 || codes > 255) OT_FAIL(OT_E_RANGE, "layer '%s': %d codes of a quantised output, want 1..255", name, codes);
    if (!((float)step > 0 && isfinite((float)step))) OT_FAIL(OT_E_RANGE, "layer '%s': step of a quantised output = %g, want a positive number", name, step);
    return OT_OK;
}

ot_status ot_network_quantise_relu(ot_network *net, int number, int codes, double step)
{
    if (number < 0 || number >= net->n_relus) OT_FAIL(OT_E_RANGE, "ReLU layer %d to quantise, network '%s' has %d", number, net->name, net->n_relus);
    for (int i = 0; i < net->n; i++) {
        ot_layer *l = &net->layers[i];
        if (l->relu != number) continue;
        if (codes) OT_TRY(ot__check_codes(l->name, codes, step));
        l->codes = codes;
        l->step = codes ? (float)step : 0;
    }
    return OT_OK;
}

int ot_network_is_quantised(const ot_network *net)
{
    for (int i = 0; i < net->n; i++)
        if (net->layers[i].codes) return 1;
    return 0;
}

ot_status ot_network_set_class_names(ot_network *net, const char *text)
{
    int n = 1;
    for (const char *p = text; *p; p++) n += *p == ',';
    if (n != ot_network_classes(net)) OT_FAIL(OT_E_RANGE, "%d class names, want %d, separated by commas", n, ot_network_classes(net));
    char **names = ot_alloc((size_t)n, sizeof *names);
    if (!names) OT_NOMEM("class names", (size_t)n * sizeof *names);
    int made = 0;
    for (const char *p = text; made < n; made++) {
        size_t length = strcspn(p, ",");
        if (!(names[made] = ot_alloc(length + 1, 1))) break;
        memcpy(names[made], p, length);
        p += length + 1;
    }
    if (made < n) {
        while (made) ot_free(names[--made]);
        ot_free(names);
        OT_NOMEM("class names", strlen(text));
    }
    for (int i = 0; i < net->n_class_names; i++) ot_free(net->class_names[i]);
    ot_free(net->class_names);
    net->class_names = names;
    net->n_class_names = n;
    return OT_OK;
}

/* One walk over all trainable numbers (or all statistics): copies to `out` or from `in`, whichever is given; gives the count. */
static size_t walk(const ot_network *net, int statistics, float *out, const float *in)
{
    size_t at = 0;
    for (int i = 0; i < net->n; i++) {
        const ot_layer *l = &net->layers[i];
        size_t c = (size_t)l->c;
        const struct { float *p; size_t n; } params[] = {{l->weight, ot_layer_weights(l)}, {l->bias, c}, {l->gamma, c}, {l->beta, c}};
        const struct { float *p; size_t n; } stats[] = {{l->mean, c}, {l->var, c}};
        for (int k = 0; k < (statistics ? 2 : 4); k++) {
            float *p = statistics ? stats[k].p : params[k].p;
            size_t n = statistics ? stats[k].n : params[k].n;
            if (!p) continue;
            if (out) memcpy(out + at, p, n * sizeof *p);
            if (in) memcpy(p, in + at, n * sizeof *p);
            at += n;
        }
    }
    return at;
}

size_t ot_network_parameters(const ot_network *net) { return walk(net, 0, NULL, NULL); }
void   ot_network_get_parameters(const ot_network *net, float *flat) { walk(net, 0, flat, NULL); }
void   ot_network_set_parameters(ot_network *net, const float *flat) { walk(net, 0, NULL, flat); }
size_t ot_network_statistics(const ot_network *net) { return walk(net, 1, NULL, NULL); }
void   ot_network_get_statistics(const ot_network *net, float *flat) { walk(net, 1, flat, NULL); }
void   ot_network_set_statistics(ot_network *net, const float *flat) { walk(net, 1, NULL, flat); }
