/* fuzz_onnx.c - any bytes give a sound network or a failure; what was read can be copied and asked everything. */
#include "ohmtrim/network.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ot_network *net = NULL, *copy = NULL;
    if (ot_network_read(&net, data, size, NULL) != OT_OK) return 0;
    int n = ot_network_layers(net);
    if (n < 2 || ot_network_classes(net) < 1) abort();
    for (int i = 0; i < n; i++) {
        const ot_layer *l = ot_network_layer(net, i);
        if (l->c < 1 || l->h < 1 || l->w < 1 || l->in[0] >= i || l->in[1] >= i) abort();
        if ((l->crossbar >= 0) != (l->weight != NULL)) abort();
        if ((l->op == OT_OP_SPIKE) != (l->spike >= 0) || (l->spike >= 0 && !(l->threshold > 0 && l->leak > 0 && l->leak <= 1))) abort();
    }
    if (ot_network_relus(net) && ot_network_spikes(net)) abort();
    if (ot_network_copy(&copy, net) != OT_OK || ot_network_parameters(copy) != ot_network_parameters(net)) abort();
    ot_network_free(copy);
    ot_network_free(net);
    return 0;
}
