/* dnnl_lib.c - dnnl.h on oneDNN, for what its versions 2 and 3 have in common; dnnl_v2.c and dnnl_v3.c do the rest (dnnl_half.h). */
#ifdef OT_HAVE_DNNL
#include "backend/dnnl.h"
#include "backend/dnnl_half.h"
#include "base/fail.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct ot__dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

/* One pass: its primitive and memory objects; weights in the order the primitive likes. */
typedef struct pass {
    dnnl_primitive_t   run, reorder;               /* reorder: host weights to `weight` */
    dnnl_memory_t      src, dst, weight, scratch;  /* data handles of src, dst, scratch are set at each call */
    float             *data;                       /* of `weight` */
} pass;

struct ot__dnnl_conv {
    ot__dnnl     *lib;
    dnnl_memory_t host;                            /* weights (out, in, kh, kw) */
    pass          forward, data;
};

static ot_status failed(const char *call, dnnl_status_t s)
{
    ot_status st = s == dnnl_out_of_memory ? OT_E_NOMEM : s == dnnl_unimplemented ? OT_E_UNSUPPORTED : OT_E_LIBRARY;
    OT_FAIL(st, "oneDNN: %s gave status %d, want 0", call, (int)s);
}

#define TRY(CALL)                                                    \
    do {                                                             \
        dnnl_status_t s_ = (CALL);                                   \
        if (s_ != dnnl_success) return failed(#CALL, s_);            \
    } while (0)
#define TRY_TO(LABEL, ST, CALL)                                      \
    do {                                                             \
        dnnl_status_t s_ = (CALL);                                   \
        if (s_ != dnnl_success) {                                    \
            (ST) = failed(#CALL, s_);                                \
            goto LABEL;                                              \
        }                                                            \
    } while (0)

/* OpenMP's number of threads is a setting of the calling thread: one while oneDNN works, then as it was. */
typedef struct omp { int (*get)(void); void (*set)(int); int was; } omp;

static omp one_thread(void)
{
    omp o;
    *(void **)&o.get = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
    *(void **)&o.set = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    if (!o.get || !o.set) return (omp){0};
    o.was = o.get();
    o.set(1);
    return o;
}

static void as_it_was(omp o)
{
    if (o.set) o.set(o.was);
}

ot_status ot__dnnl_open(ot__dnnl **out)
{
    ot_status st = OT_OK;
    ot__dnnl *lib = ot_alloc(1, sizeof *lib);
    if (!lib) OT_NOMEM("oneDNN", sizeof *lib);
    TRY_TO(done, st, dnnl_engine_create(&lib->engine, dnnl_cpu, 0));
    TRY_TO(done, st, dnnl_stream_create(&lib->stream, lib->engine, dnnl_stream_default_flags));
done:
    if (st != OT_OK) ot__dnnl_close(lib);
    else *out = lib;
    return st;
}

void ot__dnnl_close(ot__dnnl *lib)
{
    if (!lib) return;
    if (lib->stream) dnnl_stream_destroy(lib->stream);
    if (lib->engine) dnnl_engine_destroy(lib->engine);
    ot_free(lib);
}

void ot__dnnl_detail(char *text, size_t n)
{
    static const struct { dnnl_cpu_isa_t isa; const char *name; } names[] = {
        {dnnl_cpu_isa_sse41, "sse41"}, {dnnl_cpu_isa_avx, "avx"}, {dnnl_cpu_isa_avx2, "avx2"}, {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"}, {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"}, {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"}};
    const dnnl_version_t *v = dnnl_version();
    const char *isa = "any";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].isa == dnnl_get_effective_cpu_isa()) isa = names[i].name;
    snprintf(text, n, "oneDNN %d.%d.%d %s", v->major, v->minor, v->patch, isa);
}

static void pass_close(pass *p)
{
    if (p->run) dnnl_primitive_destroy(p->run);
    if (p->reorder) dnnl_primitive_destroy(p->reorder);
    if (p->src) dnnl_memory_destroy(p->src);
    if (p->dst) dnnl_memory_destroy(p->dst);
    if (p->weight) dnnl_memory_destroy(p->weight);
    if (p->scratch) dnnl_memory_destroy(p->scratch);
    ot_free(p->data);
}

void ot__dnnl_conv_close(ot__dnnl_conv *c)
{
    if (!c) return;
    pass_close(&c->forward);
    pass_close(&c->data);
    if (c->host) dnnl_memory_destroy(c->host);
    ot_free(c);
}

/* The primitive of `pd`, its memory objects and weight storage. */
static ot_status pass_make(pass *p, ot__dnnl_conv *c, dnnl_primitive_desc_t pd, dnnl_query_t src, dnnl_query_t dst, size_t *bytes, size_t *scratch)
{
    ot_status st = OT_OK;
    dnnl_primitive_desc_t reorder = NULL;
    dnnl_engine_t engine = c->lib->engine;
    ot__dnnl_md wd = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), sd = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0), host;
    TRY_TO(done, st, dnnl_memory_get_memory_desc(c->host, &host));
    TRY_TO(done, st, dnnl_primitive_create(&p->run, pd));
    TRY_TO(done, st, dnnl_memory_create(&p->src, dnnl_primitive_desc_query_md(pd, src, 0), engine, NULL));
    TRY_TO(done, st, dnnl_memory_create(&p->dst, dnnl_primitive_desc_query_md(pd, dst, 0), engine, NULL));
    TRY_TO(done, st, dnnl_memory_create(&p->scratch, sd, engine, NULL));
    size_t size = dnnl_memory_desc_get_size(wd), need = dnnl_memory_desc_get_size(sd);
    p->data = ot_alloc(size, 1);
    if (!p->data) OT_FAIL_TO(done, st, OT_E_NOMEM, "weights for oneDNN: no memory for %zu bytes", size);
    TRY_TO(done, st, dnnl_memory_create(&p->weight, wd, engine, p->data));
    TRY_TO(done, st, dnnl_reorder_primitive_desc_create(&reorder, host, engine, wd, engine, NULL));
    TRY_TO(done, st, dnnl_primitive_create(&p->reorder, reorder));
    *bytes += size;
    if (need > *scratch) *scratch = need;
done:
    if (reorder) dnnl_primitive_desc_destroy(reorder);
    return st;
}

static ot_status passes_make(ot__dnnl_conv *c, const ot__dnnl_shape *s, int winograd, int back, dnnl_primitive_attr_t attr, size_t *bytes, size_t *scratch)
{
    dnnl_primitive_desc_t forward = NULL, data = NULL;
    TRY(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    TRY(ot__dnnl_host_weights(&c->host, c->lib->engine, s));
    TRY(ot__dnnl_describe(&forward, back ? &data : NULL, c->lib->engine, s, winograd, attr));
    ot_status st = pass_make(&c->forward, c, forward, dnnl_query_src_md, dnnl_query_dst_md, bytes, scratch);
    if (st == OT_OK && back) st = pass_make(&c->data, c, data, dnnl_query_diff_dst_md, dnnl_query_diff_src_md, bytes, scratch);
    dnnl_primitive_desc_destroy(forward);
    if (data) dnnl_primitive_desc_destroy(data);
    return st;
}

ot_status ot__dnnl_conv_open(ot__dnnl_conv **out, ot__dnnl *lib, const ot__dnnl_shape *s, int winograd, int back, size_t *bytes, size_t *scratch)
{
    dnnl_primitive_attr_t attr;
    ot__dnnl_conv *c = ot_alloc(1, sizeof *c);
    if (!c) OT_NOMEM("oneDNN", sizeof *c);
    c->lib = lib;
    *scratch = 0;
    if (dnnl_primitive_attr_create(&attr) != dnnl_success) {
        ot_free(c);
        OT_FAIL(OT_E_NOMEM, "oneDNN: no memory for attributes");
    }
    omp o = one_thread();
    ot_status st = passes_make(c, s, winograd, back, attr, bytes, scratch);
    as_it_was(o);
    dnnl_primitive_attr_destroy(attr);
    if (st != OT_OK) ot__dnnl_conv_close(c);
    else *out = c;
    return st;
}

static ot_status load(ot__dnnl_conv *c, pass *p, const float *weight)
{
    dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, c->host}, {DNNL_ARG_TO, p->weight}};
    omp o = one_thread();
    dnnl_status_t s = dnnl_memory_set_data_handle(c->host, (void *)weight);
    if (s == dnnl_success) s = dnnl_primitive_execute(p->reorder, c->lib->stream, 2, args);
    if (s == dnnl_success) s = dnnl_stream_wait(c->lib->stream);
    as_it_was(o);
    return s == dnnl_success ? OT_OK : failed("reordering weights", s);
}

ot_status ot__dnnl_conv_load(ot__dnnl_conv *c, const float *weight)
{
    OT_TRY(load(c, &c->forward, weight));
    return c->data.run ? load(c, &c->data, weight) : OT_OK;
}

static ot_status run(ot__dnnl_conv *c, pass *p, const float *src, const float *dst, void *scratch, int arg_src, int arg_dst, int arg_weight)
{
    dnnl_exec_arg_t args[4] = {{arg_src, p->src}, {arg_weight, p->weight}, {arg_dst, p->dst}, {DNNL_ARG_SCRATCHPAD, p->scratch}};
    omp o = one_thread();
    dnnl_status_t s = dnnl_memory_set_data_handle(p->src, (void *)src);
    if (s == dnnl_success) s = dnnl_memory_set_data_handle(p->dst, (void *)dst);
    if (s == dnnl_success) s = dnnl_memory_set_data_handle(p->scratch, scratch);
    if (s == dnnl_success) s = dnnl_primitive_execute(p->run, c->lib->stream, 4, args);
    if (s == dnnl_success) s = dnnl_stream_wait(c->lib->stream);
    as_it_was(o);
    return s == dnnl_success ? OT_OK : failed("a convolution", s);
}

ot_status ot__dnnl_conv_forward(ot__dnnl_conv *c, const float *src, float *dst, void *scratch)
{
    return run(c, &c->forward, src, dst, scratch, DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_WEIGHTS);
}

ot_status ot__dnnl_conv_data(ot__dnnl_conv *c, const float *g, float *dsrc, void *scratch)
{
    return run(c, &c->data, g, dsrc, scratch, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS);
}

ot_status ot__dnnl_sgemm(int m, int n, int k, const float *a, const float *b, float *c)
{
    omp o = one_thread();
    dnnl_status_t s = dnnl_sgemm('N', 'N', m, n, k, 1.0f, a, k, b, n, 0.0f, c, n);
    as_it_was(o);
    return s == dnnl_success ? OT_OK : failed("sgemm", s);
}
#else
typedef int ot__dnnl_lib_is_for_builds_with_it;      /* an empty file is not C */
#endif
