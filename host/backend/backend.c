/* backend.c - the backends of this build, and which of them is picked. */
#include "backend/backend.h"
#include "base/fail.h"

#include <stdio.h>
#include <string.h>

/* In the order `auto` prefers. */
static const ot_backend_i *const backends[] = {&ot__backend_cpu, &ot__backend_ref};
enum { N_BACKENDS = sizeof backends / sizeof *backends };

static const ot_backend_i *find(const char *name)
{
    if (!strcmp(name, "auto")) return backends[0];
    for (int i = 0; i < N_BACKENDS; i++)
        if (!strcmp(name, backends[i]->name)) return backends[i];
    return NULL;
}

ot_status ot_backend_open(ot_backend **out, const char *name, const char **why)
{
    const ot_backend_i *i = find(name);
    if (!i) {
        char have[64] = "auto";
        for (int k = 0; k < N_BACKENDS; k++) {
            strcat(have, ", ");
            strcat(have, backends[k]->name);
        }
        OT_FAIL(OT_E_BACKEND, "backend '%s' is not in this build, want one of %s", name, have);
    }
    ot_backend *be = ot_alloc(1, sizeof *be);
    if (!be) OT_NOMEM("backend", sizeof *be);
    be->i = i;
    ot_status st = i->open(&be->ctx);
    if (st != OT_OK) {
        ot_free(be);
        return st;
    }
    i->detail(be->ctx, be->detail, sizeof be->detail);
    snprintf(be->why, sizeof be->why, "%s (%s)", strcmp(name, "auto") ? "asked for" : "the fastest in this build", be->detail);
    if (why) *why = be->why;
    *out = be;
    return OT_OK;
}

void ot_backend_close(ot_backend *be)
{
    if (!be) return;
    be->i->close(be->ctx);
    ot_free(be);
}

const char *ot_backend_name(const ot_backend *be) { return be->i->name; }
const char *ot_backend_detail(const ot_backend *be) { return be->detail; }
