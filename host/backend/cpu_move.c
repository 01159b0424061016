/* cpu_move.c - pad, slice and reshape: every unit of the output is a unit of the input or a constant.
 *
 * A table made once says where each unit comes from.  A unit is as many channels as always stay together: 16 or 8 in the shortcuts
 * of ResNets, where it matters, else 1.  Each input unit is read at most once, so backward is the same table read the other way. */
#include "backend/cpu.h"

#include <string.h>

enum { FROM_VALUE = -1, FROM_ZERO = -2 };

static size_t offset_of(const ot__cpu_view *v, int c, int y, int x)
{
    return (size_t)(c / v->b) * v->block + ((size_t)y * (size_t)v->w + (size_t)x) * v->pixel + (size_t)(c % v->b);
}

/* Where output channel c, pixel (y, x) comes from. */
static int64_t source(const ot__cpu_op *op, int c, int y, int x)
{
    const ot_layer *l = op->step.layer;
    const ot__cpu_view *in = &op->in, *out = &op->out;
    if (c >= out->c) return FROM_ZERO;
    switch (op->step.kind) {
    case OT_STEP_PAD:
        c -= l->pad_before[0], y -= l->pad_before[1], x -= l->pad_before[2];
        break;
    case OT_STEP_SLICE:
        c = l->slice_start[0] + c * l->slice_step[0], y = l->slice_start[1] + y * l->slice_step[1], x = l->slice_start[2] + x * l->slice_step[2];
        break;
    default: {
        int64_t e = ((int64_t)c * out->h + y) * out->w + x;
        x = (int)(e % in->w), y = (int)(e / in->w % in->h), c = (int)(e / in->w / in->h);
    }
    }
    if (c < 0 || y < 0 || x < 0 || c >= in->c || y >= in->h || x >= in->w) return FROM_VALUE;
    return (int64_t)offset_of(in, c, y, x);
}

static int divides_all(const ot__cpu_op *op, int unit)
{
    const ot_layer *l = op->step.layer;
    if (op->in.b % unit || op->out.b % unit || op->in.c % unit || op->out.c % unit) return 0;
    if (op->step.kind == OT_STEP_PAD) return l->pad_before[0] % unit == 0;
    if (op->step.kind == OT_STEP_SLICE) return l->slice_start[0] % unit == 0 && l->slice_step[0] == 1;
    return op->in.c == op->out.c && op->in.h == op->out.h && op->in.w == op->out.w;
}

ot_status ot__cpu_move_open(ot__cpu_op *op)
{
    op->unit = divides_all(op, 16) ? 16 : divides_all(op, 8) ? 8 : 1;
    op->n_units = op->out.image / (size_t)op->unit;
    op->from = ot_alloc(op->n_units, sizeof *op->from);
    if (!op->from) OT_NOMEM("a table of moves", op->n_units * sizeof *op->from);
    op->bytes += op->n_units * sizeof *op->from;
    int b = op->out.b;
    size_t at = 0;
    for (int k = 0; k < op->out.nb; k++)
        for (int y = 0; y < op->out.h; y++)
            for (int x = 0; x < op->out.w; x++)
                for (int l = 0; l < b; l += op->unit) op->from[at++] = source(op, k * b + l, y, x);
    op->algorithm = "move";
    return OT_OK;
}

#define MOVE(UNIT)                                                                                       \
    for (size_t i = 0; i < op->n_units; i++, dst += (UNIT)) {                                            \
        int64_t from = op->from[i];                                                                      \
        if (from >= 0) memcpy(dst, src + from, (UNIT) * sizeof *dst);                                    \
        else for (int j = 0; j < (UNIT); j++) dst[j] = from == FROM_VALUE ? value : 0.0f;                \
    }

void ot__cpu_move(const ot__cpu_op *op, const float *src, float *dst, int n)
{
    float value = op->step.kind == OT_STEP_PAD ? op->step.layer->pad_value : 0.0f;
    for (int m = 0; m < n; m++, src += op->in.image) {
        if (op->unit == 16) MOVE(16)
        else if (op->unit == 8) MOVE(8)
        else MOVE(1)
    }
}

#define MOVE_BACK(UNIT)                                                                                  \
    for (size_t i = 0; i < op->n_units; i++, g += (UNIT)) {                                              \
        int64_t from = op->from[i];                                                                      \
        if (from >= 0) for (int j = 0; j < (UNIT); j++) dsrc[from + j] += g[j];                          \
    }

void ot__cpu_move_back(const ot__cpu_op *op, const float *g, float *dsrc, int add, int n)
{
    if (!add) memset(dsrc, 0, (size_t)n * op->in.image * sizeof *dsrc);
    for (int m = 0; m < n; m++, dsrc += op->in.image) {
        if (op->unit == 16) MOVE_BACK(16)
        else if (op->unit == 8) MOVE_BACK(8)
        else MOVE_BACK(1)
    }
}
