/* policy.h - what the functions of policies (policy.c) and their text (policy_text.c) share. */
#ifndef OT_TRAIN_POLICY_H
#define OT_TRAIN_POLICY_H

#include "ohmtrim/policy.h"

#include <stddef.h>

/* Parameters.  LIST: l is a list of steps.  PER: gamma may be that of another length than an iteration. */
enum { OT__K0 = 1, OT__K1 = 2, OT__GAMMA = 4, OT__P = 8, OT__L = 16, OT__LIST = 32, OT__PER = 64 };
typedef struct ot__policy_form {
    const char *name, *formula;
    unsigned needs, may;
} ot__policy_form;
const ot__policy_form *ot__policy_form_of(ot_policy_kind kind); /* NULL of none */

/* As much of the text as fits, and how long it is. */
size_t ot__policy_text(char out[OT_POLICY_TEXT], const ot_policy *p);

#endif
