/* fuzz_policy.c - learning-rate policies: any text gives a policy whose text reads back to it and whose rates are rates, or a failure. */
#include "ohmtrim/policy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rates(const ot_policy *p, double run, double epoch)
{
    ot_policy q;
    if (ot_policy_for(&q, p, run, epoch) != OT_OK) return;
    for (double t = 0; t < 1e18; t = t * 1.7 + 0.5) {
        const double lr = ot_policy_lr(&q, t);
        if (p->n ? !(lr >= 0 && lr <= 100.0001) : !isnan(lr)) abort();      /* k1 - k0 + k0 may round up */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char      text[OT_POLICY_TEXT], again[OT_POLICY_TEXT], *in = malloc(size + 1);
    ot_policy p, q;
    memcpy(in, data, size);
    in[size] = 0;
    const ot_status st = ot_policy_read(&p, in);
    free(in);
    if (st != OT_OK) {
        if (st != OT_E_RANGE || !*ot_last_error()) abort();
        return 0;
    }
    ot_policy_write(text, &p);
    if (ot_policy_check(&p) != OT_OK || ot_policy_read(&q, text) != OT_OK) {
        fprintf(stderr, "%s\n%s\n", text, ot_last_error());
        abort();
    }
    ot_policy_write(again, &q);
    if (strcmp(text, again)) abort();
    rates(&p, 469, 117.25);
    rates(&q, 1e15, 1e-300);
    return 0;
}
