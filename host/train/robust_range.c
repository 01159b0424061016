/* robust_range.c - the step of each layer's quantised activations, from what the float network gives on training images.
 *
 * Average (paper 003): the moving average of each batch's largest value, over n.  Least: the least-squares scale of values taken evenly from
 * all batches, some 2^16 a layer; at 2 bits an average of maxima makes almost every code 0.  Batch norm takes the batches' own
 * statistics, as in training; images come in the epoch's order, without crops and flips, the first shard's part of each minibatch. */
#include "base/fail.h"
#include "train/draw.h"
#include "train/trainer.h"

#include <string.h>

enum { VALUES = 1 << 16 };

typedef struct seen {
    double *range;             /* (L) */
    float *values;             /* (L, VALUES) */
    size_t *kept;              /* (L) */
    size_t a_batch;            /* how many of each batch are kept */
    int batch;
    double momentum;
} seen;

static ot_status look(void *user, int relu, const float *values, size_t n)
{
    seen *s = user;
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] <= 3e38f)) OT_FAIL(OT_E_DATA, "ranges of activations: an output of ReLU layer %d is %g, want finite ones", relu, (double)values[i]);
        most = values[i] > most ? values[i] : most;
    }
    s->range[relu] = ot__range_next(s->range[relu], (double)most, s->batch, s->momentum);
    const size_t step = (n + s->a_batch - 1) / s->a_batch, shift = step > 1 ? (size_t)s->batch * 7919 % step : 0;   /* not the same places each batch */
    for (size_t i = shift; i < n && s->kept[relu] < VALUES; i += step) s->values[(size_t)relu * VALUES + s->kept[relu]++] = values[i];
    return OT_OK;
}

static ot_status run(ot__trainer *t, seen *s, int batches)
{
    ot__shard *shard = &t->shard[0];
    const size_t image = (size_t)t->train->c * (size_t)t->train->h * (size_t)t->train->w;
    OT_TRY(ot_plan_set_parameters(shard->plan, t->parameters));
    for (s->batch = 0; s->batch < batches; s->batch++) {
        const uint32_t *index = t->order + (size_t)s->batch * (size_t)t->opt->minibatch;
        for (int i = 0; i < t->tile; i++) ot_data_image(t->train, t->net, index[i], shard->images + (size_t)i * image);
        OT_TRY(ot_plan_activations(shard->plan, shard->images, t->tile, look, s));
    }
    return OT_OK;
}

ot_status ot__robust_ranges(ot__trainer *t)
{
    const ot_robust_options *o = &t->opt->robust;
    const size_t relus = (size_t)t->robust.n_relus;
    const int batches = o->range_batches < t->steps ? o->range_batches : t->steps, bits = o->activation_bits;
    const int least = o->range == OT_RANGE_LEAST || (o->range == OT_RANGE_AUTO && bits <= 4);
    seen s = {.momentum = o->range_momentum, .a_batch = (size_t)(VALUES / batches) + 1};
    ot_status st = OT_OK;
    s.range = ot_alloc(relus, sizeof *s.range);
    s.values = ot_alloc(relus, VALUES * sizeof *s.values);
    s.kept = ot_alloc(relus, sizeof *s.kept);
    if (!s.range || !s.values || !s.kept) OT_FAIL_TO(done, st, OT_E_NOMEM, "ranges of %zu layers' activations: no memory for %zu bytes", relus, relus * VALUES * sizeof(float));
    ot__draw_order(t->order, (uint32_t)t->train->n, t->opt->seed, (uint32_t)t->epoch);
    OT_TRY_TO(done, st, run(t, &s, batches));
    for (size_t l = 0; l < relus; l++) {
        double step = s.range[l] / ot_quantise_codes(bits);
        if (least) OT_TRY_TO(done, st, ot__quantise_scale_f32(&step, s.values + l * VALUES, s.kept[l], bits));
        t->robust.activation_step[l] = step > 0 ? step : 1;           /* a layer that gives nothing: any step does */
    }
done:
    ot_free(s.kept);
    ot_free(s.values);
    ot_free(s.range);
    return st;
}
