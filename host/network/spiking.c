/* spiking.c - what makes a network a spiking one: its layers' settings, time steps, input coding.
 *
 * A network is all spiking or not at all: its knobs are one kind, and a rectifier between neurons that only ever see spikes has no
 * counterpart on the chips of paper 002.  What stands before the first spiking layer of a network with direct coding sees the same
 * picture at every step and is computed once; behind it everything is computed T times an image. */
#include "impl.h"

#include <math.h>

const char *const ot__reset_names[OT_RESETS] = {"subtract", "fixed", "zero", "once"}, *const ot__coding_names[OT_CODINGS] = {"direct", "rate", "latency"};

ot_status ot__spike_check(const ot_network *net, const ot_layer *l)
{
    if (net->n_relus) OT_FAIL(OT_E_UNSUPPORTED, "layer '%s': a spiking layer in a network with ReLU layers, want one kind or the other", l->name);
    if (!(l->threshold > 0 && isfinite(l->threshold)))
        OT_FAIL(OT_E_DATA, "layer '%s': threshold = %g, want a finite number above 0", l->name, (double)l->threshold);
    if (!(l->leak > 0 && l->leak <= 1)) OT_FAIL(OT_E_DATA, "layer '%s': leak = %g, want above 0 and at most 1 (no leak)", l->name, (double)l->leak);
    if (l->reset < 0 || l->reset >= OT_RESETS)
        OT_FAIL(OT_E_DATA, "layer '%s': reset = %d, want one of ot_reset", l->name, (int)l->reset);
    if (l->reset == OT_RESET_FIXED && !(l->u_rst > 0 && isfinite(l->u_rst)))
        OT_FAIL(OT_E_DATA, "layer '%s': u_rst = %g, want a finite number above 0", l->name, (double)l->u_rst);
    return OT_OK;
}

int ot_network_spikes(const ot_network *net) { return net->n_spikes; }
int ot_network_once(const ot_network *net)
{
    for (int i = 0; i < net->n; i++)
        if (net->layers[i].spike == 0) return net->layers[i].reset == OT_RESET_ONCE;
    return 0;
}
int ot_network_knobs(const ot_network *net) { return net->n_spikes ? net->n_spikes : net->n_relus; }

const ot_layer *ot_network_spike(const ot_network *net, int number)
{
    for (int i = 0; i < net->n; i++)
        if (net->layers[i].spike == number && number >= 0) return &net->layers[i];
    return NULL;
}

const ot_spiking *ot_network_spiking(const ot_network *net) { return &net->spiking; }

ot_status ot_network_set_spiking(ot_network *net, const ot_spiking *s)
{
    if (!(s->steps >= 1 && s->steps <= OT_MAX_STEPS)) OT_FAIL(OT_E_RANGE, "%d time steps, want 1..%d", s->steps, OT_MAX_STEPS);
    if (s->coding < 0 || s->coding >= OT_CODINGS) OT_FAIL(OT_E_RANGE, "input coding %d, want direct, rate or latency", (int)s->coding);
    net->spiking = *s;
    return OT_OK;
}

ot_status ot_network_set_neurons(ot_network *net, float leak, ot_reset reset, float u_rst)
{
    for (int i = 0; i < net->n; i++) {
        ot_layer l = net->layers[i];
        if (l.op != OT_OP_SPIKE) continue;
        l.leak = leak, l.reset = reset, l.u_rst = u_rst;
        OT_TRY(ot__spike_check(net, &l));
        net->layers[i] = l;
    }
    return OT_OK;
}

ot_status ot_network_check_spiking(const ot_network *net)
{
    int last = net->n - 1;
    if (!net->n_spikes) return OT_OK;
    while (last > 0 && net->layers[last].op == OT_OP_RESHAPE) last = net->layers[last].in[0];
    if (net->layers[last].op != OT_OP_SPIKE)
        OT_FAIL(OT_E_UNSUPPORTED, "network %s spikes, but its last layer '%s' does not: classes are told by spike counts, want a spiking layer there", net->name,
                net->layers[last].name);
    if (net->spiking.steps < 1)
        OT_FAIL(OT_E_RANGE, "network %s spikes, but its time steps are not said (metadata ohmtrim.steps), want 1..%d", net->name, OT_MAX_STEPS);
    for (int i = 1; i < net->n; i++) {
        const ot_layer *l = &net->layers[i];
        if (l->spike >= 0 && (l->reset == OT_RESET_ONCE) != (net->layers[last].reset == OT_RESET_ONCE))
            OT_FAIL(OT_E_UNSUPPORTED, "layer '%s' fires %s, the last layer '%s' %s: want all layers to fire once, or none", l->name,
                    l->reset == OT_RESET_ONCE ? "once" : "again and again", net->layers[last].name, l->reset == OT_RESET_ONCE ? "again and again" : "once");
        if (l->op == OT_OP_ADD && net->spiking.coding == OT_CODING_DIRECT && net->layers[l->in[0]].timed != net->layers[l->in[1]].timed)
            OT_FAIL(OT_E_UNSUPPORTED, "layer '%s' adds a still picture and spikes, want two of a kind", l->name);
    }
    return OT_OK;
}
