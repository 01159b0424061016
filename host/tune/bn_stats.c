/* bn_stats.c - batch norm's running mean and variance found again for one chip: one forward pass over unlabelled images in training mode, in
 * which every layer sees inputs normalised by this chip's own statistics.  Two numbers a channel, where knobs are two a layer. */
#include "tune/change.h"

#include "base/fail.h"

static ot_status measure(float *statistics, ot_plan *train, const ot_network *net, const ot_tuning *t, ot_tune_cost *cost)
{
    const ot_layer *image = ot_network_layer(net, 0);
    const size_t    n = (size_t)t->n[MATCH], size = (size_t)image->c * (size_t)image->h * (size_t)image->w;
    ot_status       st = OT_OK;
    float          *x = ot_alloc(n * size, sizeof *x);
    int32_t        *labels = ot_alloc(n, sizeof *labels);            /* zeros: nothing is learned from them */
    if (!x || !labels) OT_FAIL_TO(done, st, OT_E_NOMEM, "batch norm: no memory for %zu images", n);
    for (size_t k = 0; k < n; k++) ot_data_image(t->train, net, t->index[MATCH][k], x + k * size);
    st = ot_plan_train(train, x, labels, (int)n, NULL, statistics, NULL, NULL);
    cost->images_forward += t->n[MATCH];
done:
    ot_free(labels);
    ot_free(x);
    return st;
}

ot_status ot__tuning_bn_stats(const ot_tuning *t, ot_plan *plan, const ot_chip *chip, int64_t *values, ot_tune_cost *cost)
{
    ot_network *net = NULL;
    ot_plan    *train = NULL;
    float      *statistics = NULL;
    ot_status   st = OT_OK;
    OT_TRY(ot_chip_network_copy(&net, chip));
    const size_t n = ot_network_statistics(net);
    *values = (int64_t)n;
    OT_TRY_TO(done, st, ot_plan_open(&train, ot_plan_backend(plan), net, &(ot_plan_options){.use = OT_PLAN_TRAIN, .tile = (int)t->n[MATCH]}));
    if (!(statistics = ot_alloc(n, sizeof *statistics))) OT_FAIL_TO(done, st, OT_E_NOMEM, "batch norm: no memory for %zu numbers", n);
    OT_TRY_TO(done, st, measure(statistics, train, net, t, cost));
    ot_network_set_statistics(net, statistics);
    st = ot_plan_load_network(plan, net);
done:
    ot_free(statistics);
    ot_plan_free(train);
    ot_network_free(net);
    return st;
}
