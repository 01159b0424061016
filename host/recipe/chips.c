/* chips.c - measured chips from several places as one. */
#include "ohmtrim/learn.h"

#include "base/fail.h"

#include <string.h>

void ot_chips_free(ot_chips *c)
{
    ot_free((int *)c->chip);
    ot_free((float *)c->offset);
    ot_free((float *)c->gain);
    ot_free((double *)c->accuracy);
    ot_free((float *)c->signature);
    *c = (ot_chips){0};
}

static ot_status check(const ot_chips *parts, int n_parts)
{
    int s = 0, l = 0;
    for (int i = 0; i < n_parts; i++) {
        const ot_chips *p = &parts[i];
        if (p->n < 1) continue;
        if (s && p->s != s) OT_FAIL(OT_E_SHAPE, "signatures of %d numbers and of %d, want one length", s, p->s);
        if (l && p->n_knobs && p->l != l) OT_FAIL(OT_E_SHAPE, "%d knob pairs a chip and %d, want one number", l, p->l);
        if (p->n_knobs && p->n_knobs != p->n) OT_FAIL(OT_E_SHAPE, "knobs of %d of %d chips, want all or none", p->n_knobs, p->n);
        s = p->s;
        if (p->n_knobs) l = p->l;
    }
    return OT_OK;
}

/* Those with knobs in the first pass, the others in the second. */
static void copy(ot_chips *out, float *signature, double *accuracy, float *gain, float *offset, int *chip, const ot_chips *parts, int n_parts)
{
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n_parts; i++) {
            const ot_chips *p = &parts[i];
            if (p->n < 1 || (p->n_knobs > 0) != (pass == 0)) continue;
            const size_t n = (size_t)p->n, s = (size_t)out->s, l = (size_t)out->l, at = (size_t)out->n;
            memcpy(signature + at * s, p->signature, n * s * sizeof *signature);
            memcpy(accuracy + at, p->accuracy, n * sizeof *accuracy);
            for (size_t k = 0; k < n; k++) chip[at + k] = p->chip ? p->chip[k] : -1 - (int)(at + k);
            if (pass == 0) {
                memcpy(gain + at * l, p->gain, n * l * sizeof *gain);
                memcpy(offset + at * l, p->offset, n * l * sizeof *offset);
                out->n_knobs += p->n;
            }
            out->n += p->n;
        }
}

ot_status ot_chips_join(ot_chips *out, const ot_chips *parts, int n_parts)
{
    size_t n = 0, knobs = 0;
    *out = (ot_chips){0};
    OT_TRY(check(parts, n_parts));
    for (int i = 0; i < n_parts; i++) {
        n += (size_t)parts[i].n, knobs += (size_t)parts[i].n_knobs;
        if (parts[i].n > 0) out->s = parts[i].s;
        if (parts[i].n_knobs > 0) out->l = parts[i].l;
    }
    float  *signature = ot_alloc(n, (size_t)out->s * sizeof *signature), *gain = ot_alloc(knobs, (size_t)out->l * sizeof *gain),
           *offset = ot_alloc(knobs, (size_t)out->l * sizeof *offset);
    double *accuracy = ot_alloc(n, sizeof *accuracy);
    int    *chip = ot_alloc(n, sizeof *chip);
    out->signature = signature, out->accuracy = accuracy, out->gain = gain, out->offset = offset, out->chip = chip;
    if (!signature || !accuracy || !chip || !gain || !offset) {
        ot_chips_free(out);
        OT_NOMEM("chips", n * (size_t)out->s * sizeof *signature);
    }
    copy(out, signature, accuracy, gain, offset, chip, parts, n_parts);
    return OT_OK;
}
