/* backend_cases.h - the rows of the conformance suite: steps of every kind, on shapes around every edge. */
#ifndef OT_TESTS_BACKEND_CASES_H
#define OT_TESTS_BACKEND_CASES_H

#include "backend/backend.h"

enum { HAS_BIAS = 1, HAS_AFFINE = 2, HAS_RES = 4, HAS_RELU = 8, HAS_CLIP = 16, HAS_TIES = 32, ADD_SELF = 64 };

typedef struct backend_case {
    char           name[96];
    ot_step        step;           /* its layers are the ones below: backend_case_point sets the pointers */
    ot_layer       layer, affine, relu;
    int            flags, tile, n, add;
    ot_plan_use    use;
    ot_conv_choice conv;
} backend_case;

/* All rows; *n of them.  Owned by the caller (free). */
backend_case *backend_cases(int *n);
void          backend_case_point(backend_case *c);

#endif
