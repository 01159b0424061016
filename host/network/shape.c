/* shape.c - output shapes of layers, with every setting checked before it is used. */
#include "impl.h"

#include <math.h>

#define BAD(...) OT_FAIL(OT_E_SHAPE, __VA_ARGS__)

static ot_status window(const ot_layer *l, int size, int k, int s, int before, int after, int ceil_mode, int *out)
{
    int64_t room = (int64_t)size + before + after - k;
    if (k < 1 || s < 1 || before < 0 || after < 0 || k > 4096 || s > 4096 || before > 4096 || after > 4096)
        BAD("layer '%s': kernel %d, stride %d, pads %d and %d, want kernel and stride 1..4096, pads 0..4096", l->name, k, s, before, after);
    if (room < 0) BAD("layer '%s': kernel %d is larger than its padded input %lld", l->name, k, (long long)size + before + after);
    int64_t n = room / s + 1;
    if (ceil_mode && room % s && n * s < size + before) n++;           /* a window may not start in the padding after the image */
    *out = (int)n;
    return OT_OK;
}

ot_status ot__layer_shape(ot_layer *l, const ot_layer *a, const ot_layer *b)
{
    int64_t in = (int64_t)a->c * a->h * a->w;
    switch (l->op) {
    case OT_OP_INPUT: BAD("layer '%s': only layer 0 is the input", l->name);
    case OT_OP_CONV:
        if (l->groups < 1 || a->c % l->groups || l->c < 1 || l->c % l->groups)
            BAD("layer '%s': %d groups for %d channels in and %d out, want a divisor of both", l->name, l->groups, a->c, l->c);
        OT_TRY(window(l, a->h, l->kh, l->sh, l->pt, l->pb, 0, &l->h));
        OT_TRY(window(l, a->w, l->kw, l->sw, l->pl, l->pr, 0, &l->w));
        break;
    case OT_OP_DENSE:
        if (a->h != 1 || a->w != 1) BAD("layer '%s': dense on a (%d, %d, %d) image, want (n, 1, 1)", l->name, a->c, a->h, a->w);
        if (l->c < 1) BAD("layer '%s': %d outputs, want 1 or more", l->name, l->c);
        l->groups = l->kh = l->kw = l->sh = l->sw = l->h = l->w = 1;
        break;
    case OT_OP_BATCH_NORM: case OT_OP_BIAS: case OT_OP_RELU: case OT_OP_SPIKE:
        l->c = a->c, l->h = a->h, l->w = a->w;
        break;
    case OT_OP_ADD:
        if (a->c != b->c || a->h != b->h || a->w != b->w)
            BAD("layer '%s': adds (%d, %d, %d) and (%d, %d, %d), want equal shapes", l->name, a->c, a->h, a->w, b->c, b->h, b->w);
        l->c = a->c, l->h = a->h, l->w = a->w;
        break;
    case OT_OP_MAX_POOL: case OT_OP_AVG_POOL:
        l->c = a->c;
        OT_TRY(window(l, a->h, l->kh, l->sh, l->pt, l->pb, l->ceil_mode, &l->h));
        OT_TRY(window(l, a->w, l->kw, l->sw, l->pl, l->pr, l->ceil_mode, &l->w));
        if (l->pt >= l->kh || l->pb >= l->kh || l->pl >= l->kw || l->pr >= l->kw)
            BAD("layer '%s': pads %d %d %d %d, want less than the kernel (%d, %d)", l->name, l->pt, l->pl, l->pb, l->pr, l->kh, l->kw);
        break;
    case OT_OP_GLOBAL_AVG:
        l->c = a->c, l->h = l->w = 1;
        break;
    case OT_OP_PAD: {
        const int size[3] = {a->c, a->h, a->w};
        int out[3];
        for (int i = 0; i < 3; i++) {
            if (l->pad_before[i] < 0 || l->pad_after[i] < 0 || l->pad_before[i] > 65536 || l->pad_after[i] > 65536)
                BAD("layer '%s': pads %d and %d, want 0..65536", l->name, l->pad_before[i], l->pad_after[i]);
            out[i] = size[i] + l->pad_before[i] + l->pad_after[i];
        }
        if (!isfinite(l->pad_value)) BAD("layer '%s': pad value %g, want a finite one", l->name, l->pad_value);
        l->c = out[0], l->h = out[1], l->w = out[2];
        break;
    }
    case OT_OP_SLICE: {
        const int size[3] = {a->c, a->h, a->w}, want[3] = {l->c, l->h, l->w};
        for (int i = 0; i < 3; i++)
            if (want[i] < 1 || l->slice_step[i] < 1 || l->slice_start[i] < 0 ||
                l->slice_start[i] + (int64_t)(want[i] - 1) * l->slice_step[i] >= size[i])
                BAD("layer '%s': slice of %d from %d by %d on an axis of %d", l->name, want[i], l->slice_start[i], l->slice_step[i], size[i]);
        break;
    }
    case OT_OP_RESHAPE:
        if (l->c < 1 || l->h < 1 || l->w < 1 || (int64_t)l->c * l->h > OT_MAX_IMAGE || (int64_t)l->c * l->h * l->w != in)
            BAD("layer '%s': reshape of %lld elements to (%d, %d, %d)", l->name, (long long)in, l->c, l->h, l->w);
        break;
    default: BAD("layer '%s': operation %d is not one of ot_op", l->name, (int)l->op);
    }
    if ((int64_t)l->c * l->h > OT_MAX_IMAGE || (int64_t)l->c * l->h * l->w > OT_MAX_IMAGE)
        BAD("layer '%s': output (%d, %d, %d), want at most %d elements", l->name, l->c, l->h, l->w, OT_MAX_IMAGE);
    return OT_OK;
}
