/* structure.c - see structure.h. */
#include "network/structure.h"

static void add_layer(ot_sha256 *s, const ot_layer *l)
{
    const int whole[] = {(int)l->op, l->in[0], l->in[1], l->c, l->h, l->w, l->in_c, l->groups, l->kh, l->kw, l->sh, l->sw, l->pt, l->pl, l->pb, l->pr, l->count_pad, l->ceil_mode,
                         l->bias != NULL, l->codes, l->pad_before[0], l->pad_before[1], l->pad_before[2], l->pad_after[0], l->pad_after[1], l->pad_after[2],
                         l->slice_start[0], l->slice_start[1], l->slice_start[2], l->slice_step[0], l->slice_step[1], l->slice_step[2], (int)l->reset};
    const float real[] = {l->eps, l->clip, l->step, l->pad_value, l->threshold, l->leak, l->u_rst};
    ot__sha256_add(s, whole, sizeof whole);
    ot__sha256_add(s, real, sizeof real);
}

void ot__network_add_structure(ot_sha256 *s, const ot_network *net)
{
    const ot_spiking *k = ot_network_spiking(net);
    const float      *mean, *std;
    const size_t      c = (size_t)ot_network_layer(net, 0)->c;
    for (int i = 0; i < ot_network_layers(net); i++) add_layer(s, ot_network_layer(net, i));
    if (ot_network_spikes(net)) {
        ot__sha256_add(s, (int[]){k->steps, (int)k->coding}, 2 * sizeof(int));
        ot__sha256_add(s, &k->seed, sizeof k->seed);
    }
    ot_network_normalisation(net, &mean, &std);
    if (mean) ot__sha256_add(s, mean, c * sizeof *mean);
    if (std) ot__sha256_add(s, std, c * sizeof *std);
}
