/* impl.h - what the files of host/network/ share: the network's insides. */
#ifndef OT_NETWORK_IMPL_H
#define OT_NETWORK_IMPL_H

#include "base/fail.h"
#include "ohmtrim/network.h"

enum { OT_MAX_ELEMENTS = 1 << 28, OT_MAX_IMAGE = 1 << 25, OT_MAX_WARNINGS = 64 };      /* numbers of a constant; of one image */

struct ot_network {
    char     *name;
    int       n, room;               /* layers */
    ot_layer *layers;
    int       n_crossbars, n_relus, n_spikes;
    ot_spiking spiking;
    float    *mean, *std;            /* (c) of the input */
    int       bits;
    char    **class_names;
    int       n_class_names;
    char     *warnings[OT_MAX_WARNINGS];
    int       n_warnings;
};

/* Works out l->c, h, w from what it reads (a, b: outputs of in[0], in[1]) and checks all settings. */
ot_status ot__layer_shape(ot_layer *l, const ot_layer *a, const ot_layer *b);
/* Spiking layers in ONNX files: nodes IF, version 1 of this domain; words of attribute `reset` and metadata `coding`. */
#define OT_ONNX_DOMAIN "ohmtrim"
/* Whether a ReLU layer's output can be quantised so; `name` for the sentence. */
ot_status ot__check_codes(const char *name, int codes, double step);
extern const char *const ot__reset_names[OT_RESETS], *const ot__coding_names[OT_CODINGS];
/* Settings of a spiking layer that is to be added. */
ot_status ot__spike_check(const ot_network *net, const ot_layer *l);
/* Keeps a sentence for ot_network_warning; silently full after OT_MAX_WARNINGS. */
ot_status ot__network_warn(ot_network *net, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
