/* names.c - see names.h. */
#include "floor/names.h"
#include "base/fail.h"

#include <stdio.h>
#include <string.h>

const char *ot__name_of(const char *const *names, int n, int i) { return i >= 0 && i < n ? names[i] : "?"; }

ot_status ot__name_parse(int *out, const char *const *names, int n, const char *what, const char *name)
{
    char known[256] = "";
    for (int i = 0; i < n; i++) {
        if (!strcmp(names[i], name)) {
            *out = i;
            return OT_OK;
        }
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", names[i]);
    }
    OT_FAIL(OT_E_USAGE, "%s '%.60s' is not known, want one of %s", what, name, known);
}
