/* signature.c - a chip's response to the stimulus (paper 000 III): what the averaged outputs of each layer's neurons and the raw
 * class outputs are, image after image.
 *
 *     TR(image) = [Y_1 .. Y_L, O_1 .. O_C],  signature = [TR(1) .. TR(P)],  S = P (L + C)
 *
 * Y_x is the mean over all neurons of T-ReLU x's output.  The paper counts L layers with the final dense one and so writes L - 1. */
#include "ohmtrim/test.h"
#include "base/fail.h"

#include <string.h>

int ot_signature_length(const ot_network *net, int k) { return k * (ot_network_knobs(net) + ot_network_classes(net)); }

static ot_status check_stimulus(const ot_data *data, const uint32_t *stimulus, int k)
{
    if (!(k >= 1 && k <= data->n)) OT_FAIL(OT_E_RANGE, "stimulus of %d images, want 1..%d (%s)", k, data->n, data->name);
    for (int i = 0; i < k; i++)
        if (stimulus[i] >= (uint32_t)data->n)
            OT_FAIL(OT_E_RANGE, "stimulus image %d is number %u, want 0..%d (%s)", i, stimulus[i], data->n - 1, data->name);
    return OT_OK;
}

/* Responses of `n` images from their layer means and logits. */
static void join(float *signature, const float *layers, const float *logits, size_t n, size_t relus, size_t classes)
{
    for (size_t i = 0; i < n; i++) {
        float *response = signature + i * (relus + classes);
        memcpy(response, layers + i * relus, relus * sizeof(float));
        memcpy(response + relus, logits + i * classes, classes * sizeof(float));
    }
}

/* Of one chip in a plan, or of all in a fleet: one of the two is NULL. */
static ot_status measure(float *signature, ot_plan *plan, ot_fleet *fleet, const ot_data *data, const uint32_t *stimulus, int k)
{
    const ot_network *net = plan ? ot_plan_network(plan) : ot_fleet_network(fleet);
    size_t relus = (size_t)ot_network_knobs(net), classes = (size_t)ot_network_classes(net), n = (size_t)k * (fleet ? (size_t)ot_fleet_chips(fleet) : 1);
    OT_TRY(check_stimulus(data, stimulus, k));
    float    *layers = ot_alloc(n, relus * sizeof(float)), *logits = ot_alloc(n, classes * sizeof(float));
    ot_status st = OT_OK;
    if (!layers || !logits) OT_FAIL_TO(done, st, OT_E_NOMEM, "signature: no memory for %zu images", n);
    if (plan) OT_TRY_TO(done, st, ot_plan_forward(plan, data, stimulus, k, logits, relus ? layers : NULL));
    else OT_TRY_TO(done, st, ot_fleet_forward(fleet, data, stimulus, k, logits, relus ? layers : NULL));
    join(signature, layers, logits, n, relus, classes);
done:
    ot_free(logits);
    ot_free(layers);
    return st;
}

ot_status ot_signature_measure(float *signature, ot_plan *plan, const ot_data *data, const uint32_t *stimulus, int k)
{
    return measure(signature, plan, NULL, data, stimulus, k);
}

ot_status ot_signature_measure_fleet(float *signatures, ot_fleet *fleet, const ot_data *data, const uint32_t *stimulus, int k)
{
    return measure(signatures, NULL, fleet, data, stimulus, k);
}
