/* cuda_choose.c - our kernels or a library's, step by step: measured where asked for, or read from a text that an earlier run wrote. */
#ifdef OT_HAVE_CUDA

#include "backend/cuda.h"
#include "backend/cuda_lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const way_names[] = {[OT_WAY_OWN] = "own", [OT_WAY_CUBLAS] = "cublas", [OT_WAY_CUDNN] = "cudnn", [OT_WAY_LIBS] = "libs"};

/* --- as text --- */

static int read_way(const char **at, ot__cuda_way *way)
{
    for (int w = OT_WAY_OWN; w <= OT_WAY_LIBS; w++) {
        size_t n = strlen(way_names[w]);
        if (strncmp(*at, way_names[w], n)) continue;
        *at += n;
        *way = (ot__cuda_way)w;
        return 1;
    }
    return 0;
}

/* "3:own,cudnn" and "*:libs,own,own", up to the `;` or the end. */
static int read_one(const char **at, ot__cuda_choice *c)
{
    char *end = (char *)*at + 1;
    *c = (ot__cuda_choice){.layer = -1};
    if (**at != '*') {
        long n = **at >= '0' && **at <= '9' ? strtol(*at, &end, 10) : -1;
        if (n < 0 || n > 1000000) return 0;
        c->layer = (int)n;
    }
    *at = end;
    if (*(*at)++ != ':') return 0;
    int passes = 0;
    do {
        if (!read_way(at, &c->way[passes++])) return 0;
    } while (**at == ',' && passes < OT_PASSES && (*at)++);
    return passes >= 2 && (**at == ';' || !**at);
}

void ot__cuda_choices_free(ot__cuda_choices *c)
{
    ot_free(c->list);
    *c = (ot__cuda_choices){0};
}

ot_status ot__cuda_choices_read(ot__cuda_choices *out, const char *text)
{
    ot__cuda_choices c = {.fixed = 1};
    size_t           room = 1;
    const char      *at = text;
    for (const char *p = text; *p; p++) room += *p == ';';
    c.list = ot_alloc(room, sizeof *c.list);
    if (!c.list) OT_NOMEM("choices", room * sizeof *c.list);
    while (*at) {
        const char *from = at;
        if (!read_one(&at, &c.list[c.n])) {
            ot__cuda_choices_free(&c);
            OT_FAIL(OT_E_RANGE, "choices: '%.40s', want NUMBER:FORWARD,DATA[,GRADIENT] or *:..., each own, cublas, cudnn or libs, with ; between", from);
        }
        for (int k = 0; k < c.n; k++)
            if (c.list[k].layer == c.list[c.n].layer) {
                ot__cuda_choices_free(&c);
                OT_FAIL(OT_E_RANGE, "choices: '%.40s' names a layer a second time", from);
            }
        c.n++;
        if (*at == ';') at++;
    }
    *out = c;
    return OT_OK;
}

ot_status ot__cuda_choices_write(const ot__cuda_choices *c, char *text, size_t n)
{
    size_t at = 0;
    if (n) *text = 0;
    for (int k = 0; k < c->n; k++) {
        const ot__cuda_choice *o = &c->list[k];
        char one[64], number[16] = "*";
        if (o->layer >= 0) snprintf(number, sizeof number, "%d", o->layer);
        int len = snprintf(one, sizeof one, "%s%s:%s,%s", k ? ";" : "", number, way_names[o->way[0]], way_names[o->way[1]]);
        if (o->way[OT_PASS_GRADIENT] != OT_WAY_OWN) len += snprintf(one + len, sizeof one - (size_t)len, ",%s", way_names[o->way[OT_PASS_GRADIENT]]);
        if (at + (size_t)len >= n) OT_FAIL(OT_E_RANGE, "choices of %d layers do not fit into %zu bytes", c->n, n);
        memcpy(text + at, one, (size_t)len + 1);
        at += (size_t)len;
    }
    return OT_OK;
}

static ot__cuda_choice *find(const ot__cuda_choices *c, int layer, const otk_conv *conv)
{
    ot__cuda_choice *any = NULL;
    for (int k = 0; k < c->n; k++) {
        ot__cuda_choice *o = &c->list[k];
        if (o->measured && memcmp(&o->conv, conv, sizeof *conv)) continue;          /* a layer of another network */
        if (o->layer == layer && layer >= 0) return o;
        if (!o->measured && o->layer < 0) any = o;
    }
    return any;
}

static ot_status keep(ot__cuda_choices *c, const ot__cuda_choice *new)
{
    ot__cuda_choice *list = ot_alloc((size_t)c->n + 1, sizeof *list);
    if (!list) OT_NOMEM("choices", ((size_t)c->n + 1) * sizeof *list);
    if (c->n) memcpy(list, c->list, (size_t)c->n * sizeof *list);
    list[c->n] = *new;
    ot_free(c->list);
    c->list = list;
    c->n++;
    return OT_OK;
}

/* --- measured --- */

typedef struct bench {
    ot__cuda_lib            *lib;
    otk_math                 math;
    cudaStream_t             stream;
    const ot__cuda_question *q;
    otk_tensor               src, dst;
    void                    *workspace;
    size_t                   bytes;
    cudaEvent_t              from, to;
} bench;

static ot_status run(const bench *b, ot__cuda_pass pass, ot__cuda_way way)
{
    const ot__cuda_question *q = b->q;
    if (pass == OT_PASS_FORWARD) {
        if (way != OT_WAY_OWN) return ot__cuda_lib_forward(b->lib, way, q->conv, q->chips, q->tile, b->src, q->weight, b->dst, q->after, b->workspace, b->bytes);
        OT_CUDA(otk_conv_forward(b->math, q->conv, q->chips, q->tile, b->src, q->weight, b->dst, q->after, b->stream));
    } else if (pass == OT_PASS_DATA) {
        if (way != OT_WAY_OWN) return ot__cuda_lib_data(b->lib, way, q->conv, q->chips, q->tile, b->dst, q->weight, b->src, 1.0f, 0, b->workspace, b->bytes);
        OT_CUDA(otk_conv_data(b->math, q->conv, q->chips, q->tile, b->dst, q->weight, b->src, 1.0f, 0, NULL, b->stream));
    } else {
        float *end = (float *)((char *)b->workspace + b->bytes);         /* open_bench left room for the result */
        if (way != OT_WAY_OWN) return ot__cuda_lib_gradient(b->lib, q->conv, q->tile, b->src.at, b->dst.at, end, b->workspace, b->bytes);
        OT_CUDA(otk_conv_gradient(q->conv, q->tile, b->src.at, b->dst.at, end, b->workspace, b->stream));
    }
    return OT_OK;
}

static ot_status timed(const bench *b, ot__cuda_pass pass, ot__cuda_way way, float *ms)
{
    OT_CUDA(cudaEventRecord(b->from, b->stream));
    OT_TRY(run(b, pass, way));
    OT_CUDA(cudaEventRecord(b->to, b->stream));
    OT_CUDA(cudaEventSynchronize(b->to));
    OT_CUDA(cudaEventElapsedTime(ms, b->from, b->to));
    return OT_OK;
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float median(float *v)
{
    qsort(v, OT_CHOOSE_REPEATS, sizeof *v, by_size);
    return v[OT_CHOOSE_REPEATS / 2];
}

static void close_bench(bench *b)
{
    if (b->to) (void)cudaEventDestroy(b->to);
    if (b->from) (void)cudaEventDestroy(b->from);
    (void)cudaFree(b->workspace);
    (void)cudaFree(b->dst.at);
    (void)cudaFree(b->src.at);
}

static ot_status open_bench(bench *b)
{
    const ot__cuda_question *q = b->q;
    const size_t size = b->math == OTK_FP16 ? 2 : 4, chips = (size_t)q->chips;
    const size_t src = (q->src_stride ? chips * (size_t)q->src_stride : (size_t)q->tile * (size_t)otk_image(q->conv->in)) * size, dst = chips * (size_t)q->dst_stride * size;
    const size_t result = q->gradient ? (size_t)q->conv->out.c * (size_t)(q->conv->in.c / q->conv->groups) * (size_t)(q->conv->kh * q->conv->kw) * sizeof(float) : 0;
    if (q->gradient) b->bytes = otk_conv_gradient_bytes(q->conv, q->tile);
    for (int p = 0; p < OT_PASSES; p++) {
        size_t need = 0;
        if ((p == OT_PASS_DATA && !q->data) || (p == OT_PASS_GRADIENT && !q->gradient)) continue;
        ot__cuda_way way = ot__cuda_lib_resolve(OT_WAY_LIBS, (ot__cuda_pass)p, q->conv);
        ot_status st = ot__cuda_lib_workspace_bytes(b->lib, way, (ot__cuda_pass)p, q->conv, q->tile, &need);
        if (st != OT_OK && st != OT_E_UNSUPPORTED) return st;
        if (need > b->bytes) b->bytes = need;
    }
    b->bytes = (b->bytes + 255) / 256 * 256;
    OT_CUDA(cudaMalloc(&b->src.at, src));
    OT_CUDA(cudaMalloc(&b->dst.at, dst));
    OT_CUDA(cudaMalloc(&b->workspace, b->bytes + result + 1));
    OT_CUDA(cudaMemsetAsync(b->src.at, 0x3c, src, b->stream));           /* about 0.01 as floats, 1.06 as halves */
    OT_CUDA(cudaMemsetAsync(b->dst.at, 0x3c, dst, b->stream));
    OT_CUDA(cudaEventCreate(&b->from));
    OT_CUDA(cudaEventCreate(&b->to));
    return OT_OK;
}

static ot_status measure(const bench *b, ot__cuda_pass pass, ot__cuda_way *way)
{
    float        own[OT_CHOOSE_REPEATS], theirs[OT_CHOOSE_REPEATS];
    ot__cuda_way lib = ot__cuda_lib_resolve(OT_WAY_LIBS, pass, b->q->conv);
    size_t       need;
    *way = OT_WAY_OWN;
    if (lib == OT_WAY_OWN) return OT_OK;
    ot_status st = ot__cuda_lib_workspace_bytes(b->lib, lib, pass, b->q->conv, b->q->tile, &need);
    if (st == OT_OK) st = run(b, pass, lib);                             /* once to warm up, and to see whether it will */
    if (st == OT_E_UNSUPPORTED) return OT_OK;
    OT_TRY(st);
    OT_TRY(run(b, pass, OT_WAY_OWN));
    for (int k = 0; k < OT_CHOOSE_REPEATS; k++) {
        OT_TRY(timed(b, pass, OT_WAY_OWN, &own[k]));
        OT_TRY(timed(b, pass, lib, &theirs[k]));
    }
    if (median(theirs) < OT_CHOOSE_FACTOR * median(own)) *way = lib;
    return OT_OK;
}

/* A way that was read must be one that can be gone; `*` is for those that can. */
static ot_status as_read(const ot__cuda_choice *o, const ot__cuda_question *q, ot__cuda_way way[OT_PASSES])
{
    for (int p = 0; p < OT_PASSES; p++) {
        way[p] = ot__cuda_lib_resolve(o->way[p], (ot__cuda_pass)p, q->conv);
        if (ot__cuda_lib_can(way[p], (ot__cuda_pass)p, q->conv)) continue;
        if (o->layer >= 0)
            OT_FAIL(OT_E_MISMATCH, "layer '%s': %s cannot do this step, but the choices name it for layer %d: they belong to another network", q->name, way_names[way[p]], o->layer);
        way[p] = OT_WAY_OWN;
    }
    return OT_OK;
}

ot_status ot__cuda_choose(ot__cuda_choices *choices, ot__cuda_lib *lib, otk_math math, otk_stream stream, const ot__cuda_question *q, ot__cuda_way way[OT_PASSES])
{
    const int        wanted = 1 << OT_PASS_FORWARD | !!q->data << OT_PASS_DATA | !!q->gradient << OT_PASS_GRADIENT;
    ot__cuda_choice *known = find(choices, q->layer, q->conv), new = {.layer = q->layer, .conv = *q->conv};
    bench            b = {.lib = lib, .math = math, .stream = stream, .q = q, .src = {NULL, q->src_stride}, .dst = {NULL, q->dst_stride}};
    ot_status        st = OT_OK;
    memset(way, 0, OT_PASSES * sizeof *way);
    if (known && !known->measured) return as_read(known, q, way);
    if (known) new = *known;
    if (choices->fixed) return OT_OK;
    if (wanted & ~new.measured) {
        st = open_bench(&b);
        for (int p = 0; p < OT_PASSES && st == OT_OK; p++)
            if ((wanted & ~new.measured) >> p & 1) st = measure(&b, (ot__cuda_pass)p, &new.way[p]);
        close_bench(&b);
        if (st == OT_E_MEMORY_PLAN) st = OT_OK;                          /* no room to measure in: the plan itself may still fit */
        OT_TRY(st);
        new.measured |= wanted;
        if (known) *known = new;
        else OT_TRY(keep(choices, &new));
    }
    memcpy(way, new.way, sizeof new.way);
    return OT_OK;
}

#else
typedef int ot__cuda_choose_is_not_in_this_build;
#endif
