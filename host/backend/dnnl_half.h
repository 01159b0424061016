/* dnnl_half.h - what differs between oneDNN's C interfaces of version 2 (dnnl_v2.c) and 3 (dnnl_v3.c). */
#ifndef OT_BACKEND_DNNL_HALF_H
#define OT_BACKEND_DNNL_HALF_H

#include "backend/dnnl.h"

#include <dnnl.h>

#if DNNL_VERSION_MAJOR == 2
typedef const dnnl_memory_desc_t *ot__dnnl_md;
#else
typedef const_dnnl_memory_desc_t ot__dnnl_md;
#endif

/* Memory of weights as the host has them, (out, in, kh, kw), without data. */
dnnl_status_t ot__dnnl_host_weights(dnnl_memory_t *out, dnnl_engine_t engine, const ot__dnnl_shape *s);
/* What to compute: forward, and where `data` is not NULL the gradient to the input.  The caller destroys them; on failure there is nothing
 * to destroy. */
dnnl_status_t ot__dnnl_describe(dnnl_primitive_desc_t *forward, dnnl_primitive_desc_t *data, dnnl_engine_t engine, const ot__dnnl_shape *s, int winograd,
                                dnnl_primitive_attr_t attr);

#endif
