/* backend.c - the backends of this build, and which of them is picked. */
#include "backend/backend.h"
#include "base/fail.h"

#include <stdio.h>
#include <string.h>

/* In the order `auto` prefers. */
static const ot_backend_i *const backends[] = {
#ifdef OT_HAVE_CUDA
    &ot__backend_cuda,
#endif
    &ot__backend_cpu, &ot__backend_ref,
};
enum { N_BACKENDS = sizeof backends / sizeof *backends };

/* "cuda:fp16": the backend before the colon, its flavour after it. */
static const ot_backend_i *find(const char *name, const char **flavour)
{
    size_t n = strcspn(name, ":");
    *flavour = name[n] ? name + n + 1 : "";
    for (int i = 0; i < N_BACKENDS; i++)
        if (strlen(backends[i]->name) == n && !strncmp(name, backends[i]->name, n)) return backends[i];
    return NULL;
}

/* `auto`: the first that opens; `why` says what kept the ones before it. */
static ot_status open_auto(ot_backend *be, const char **picked)
{
    char kept[256] = "";
    for (int k = 0; k < N_BACKENDS; k++) {
        ot_status st = backends[k]->open(&be->ctx, "");
        if (st == OT_OK) {
            be->i = backends[k];
            be->i->detail(be->ctx, be->detail, sizeof be->detail);
            if (*kept) snprintf(be->why, sizeof be->why, "no GPU: using %s (%.80s); %.200s", be->i->name, be->detail, kept);
            else snprintf(be->why, sizeof be->why, "the fastest in this build (%.256s)", be->detail);
            *picked = be->i->name;
            return OT_OK;
        }
        if (k == N_BACKENDS - 1) return st;
        snprintf(kept, sizeof kept, "%.200s", ot_last_error());
    }
    return OT_E_BUG;
}

ot_status ot_backend_open(ot_backend **out, const char *name, const char **why)
{
    const char         *flavour = "", *picked = NULL;
    const ot_backend_i *i = find(name, &flavour);
    int                 any = !strcmp(name, "auto");
    if (!i && !any) {
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
    ot_status st = any ? open_auto(be, &picked) : i->open(&be->ctx, flavour);
    if (st != OT_OK) {
        ot_free(be);
        return st;
    }
    if (!any) {
        be->i->detail(be->ctx, be->detail, sizeof be->detail);
        snprintf(be->why, sizeof be->why, "asked for (%s)", be->detail);
    }
    snprintf(be->name, sizeof be->name, "%.*s", (int)strcspn(any ? picked : name, "="), any ? picked : name);
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

const char *ot_backend_name(const ot_backend *be) { return be->name; }
const char *ot_backend_detail(const ot_backend *be) { return be->detail; }

ot_status ot_backend_identity(const ot_backend *be, char *text, size_t n)
{
    char chosen[2048] = "";
    if (be->i->choices) OT_TRY(be->i->choices(be->ctx, chosen, sizeof chosen));
    int base = (int)strcspn(be->name, "=");
    if ((size_t)snprintf(text, n, "%.*s%s%s", base, be->name, *chosen ? "=" : "", chosen) >= n)
        OT_FAIL(OT_E_RANGE, "the backend's choices do not fit into %zu bytes", n);
    return OT_OK;
}
