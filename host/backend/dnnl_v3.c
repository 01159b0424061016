/* dnnl_v3.c - dnnl_half.h on oneDNN's C interface of version 3: descriptors are objects, and operations need no descriptor of their own. */
#ifdef OT_HAVE_DNNL
#include "backend/dnnl_half.h"
#endif
#if defined OT_HAVE_DNNL && DNNL_VERSION_MAJOR >= 3

dnnl_status_t ot__dnnl_host_weights(dnnl_memory_t *out, dnnl_engine_t engine, const ot__dnnl_shape *s)
{
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {s->oc, s->ic, s->kh, s->kw};
    dnnl_status_t st = dnnl_memory_desc_create_with_tag(&md, 4, dims, dnnl_f32, dnnl_oihw);
    if (st != dnnl_success) return st;
    st = dnnl_memory_create(out, md, engine, DNNL_MEMORY_NONE);
    dnnl_memory_desc_destroy(md);
    return st;
}

static dnnl_status_t images(dnnl_memory_desc_t *md, int n, int c, int h, int w)
{
    dnnl_dims_t dims = {n, c, h, w};
    return dnnl_memory_desc_create_with_tag(md, 4, dims, dnnl_f32, c <= 4 ? dnnl_nhwc : dnnl_nChw16c);
}

dnnl_status_t ot__dnnl_describe(dnnl_primitive_desc_t *forward, dnnl_primitive_desc_t *data, dnnl_engine_t engine, const ot__dnnl_shape *s, int winograd,
                                dnnl_primitive_attr_t attr)
{
    dnnl_memory_desc_t src = NULL, dst = NULL, weight = NULL;
    dnnl_dims_t dims = {s->oc, s->ic, s->kh, s->kw}, strides = {s->sh, s->sw}, dilates = {0, 0}, before = {s->pt, s->pl}, after = {s->pb, s->pr};
    dnnl_alg_kind_t how = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    dnnl_status_t st = images(&src, s->n, s->ic, s->ih, s->iw);
    if (st == dnnl_success) st = images(&dst, s->n, s->oc, s->oh, s->ow);
    if (st == dnnl_success) st = dnnl_memory_desc_create_with_tag(&weight, 4, dims, dnnl_f32, dnnl_format_tag_any);
    if (st == dnnl_success)
        st = dnnl_convolution_forward_primitive_desc_create(forward, engine, dnnl_forward_training, how, src, weight, NULL, dst, strides, dilates, before, after, attr);
    if (st == dnnl_success && data) {
        st = dnnl_convolution_backward_data_primitive_desc_create(data, engine, how, src, weight, dst, strides, dilates, before, after, *forward, attr);
        if (st != dnnl_success) dnnl_primitive_desc_destroy(*forward);
    }
    if (src) dnnl_memory_desc_destroy(src);
    if (dst) dnnl_memory_desc_destroy(dst);
    if (weight) dnnl_memory_desc_destroy(weight);
    return st;
}
#else
typedef int ot__dnnl_v3_is_for_version_3;      /* an empty file is not C */
#endif
