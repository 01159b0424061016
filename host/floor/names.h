/* names.h - one way from an enum to its name and back, for predictors, screens, verdicts, rules, menders. */
#ifndef OT_FLOOR_NAMES_H
#define OT_FLOOR_NAMES_H

#include "ohmtrim/floor.h"

/* The name of `i`, "?" outside 0..n-1. */
const char *ot__name_of(const char *const *names, int n, int i);
/* Its number; OT_E_USAGE: "`what` 'name' is not known, want one of ...". */
ot_status ot__name_parse(int *out, const char *const *names, int n, const char *what, const char *name);

#endif
