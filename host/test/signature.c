/* signature.c - a chip's response to the stimulus (paper 000 III): what the averaged outputs of each layer's neurons and the raw
 * class outputs are, image after image.
 *
 *     TR(image) = [Y_1 .. Y_L, O_1 .. O_C],  signature = [TR(1) .. TR(P)],  S = P (L + C)
 *
 * Y_x is the mean over all neurons of T-ReLU x's output.  The paper counts L layers with the final dense one and so writes L - 1. */
#include "ohmtrim/test.h"
#include "base/fail.h"

#include <string.h>

int ot_signature_length(const ot_network *net, int k) { return k * (ot_network_relus(net) + ot_network_classes(net)); }

ot_status ot_signature_measure(float *signature, ot_plan *plan, const ot_data *data, const uint32_t *stimulus, int k)
{
    const ot_network *net = ot_plan_network(plan);
    size_t relus = (size_t)ot_network_relus(net), classes = (size_t)ot_network_classes(net);
    if (!(k >= 1 && k <= data->n)) OT_FAIL(OT_E_RANGE, "stimulus of %d images, want 1..%d (%s)", k, data->n, data->name);
    for (int i = 0; i < k; i++)
        if (stimulus[i] >= (uint32_t)data->n)
            OT_FAIL(OT_E_RANGE, "stimulus image %d is number %u, want 0..%d (%s)", i, stimulus[i], data->n - 1, data->name);
    float    *layers = ot_alloc((size_t)k, relus * sizeof(float)), *logits = ot_alloc((size_t)k, classes * sizeof(float));
    ot_status st = OT_OK;
    if (!layers || !logits) OT_FAIL_TO(done, st, OT_E_NOMEM, "signature: no memory for %d images", k);
    OT_TRY_TO(done, st, ot_plan_forward(plan, data, stimulus, k, logits, relus ? layers : NULL));
    for (size_t i = 0; i < (size_t)k; i++) {
        float *response = signature + i * (relus + classes);
        memcpy(response, layers + i * relus, relus * sizeof(float));
        memcpy(response + relus, logits + i * classes, classes * sizeof(float));
    }
done:
    ot_free(logits);
    ot_free(layers);
    return st;
}
