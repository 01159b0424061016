/* cpu_loops_event.h - convolution of a frame that is mostly zeros: only what is not zero is multiplied.
 *
 * A frame becomes a list of events, row by row, pixel by pixel, channel by channel: where the event's weights begin, and its value.  The
 * kw pixels under a kernel's row lie side by side in that list, so an output pixel is kh runs of it.  With weights as (ky, in, kx, out)
 * an event at column x and channel i meets the weights at  i kw C + (x - x0) C  of its kernel row, C output channels, x0 the kernel's first
 * column: the list holds i kw C + x C.  Sums stay in registers, 64 output channels at a time. */

static void events(const ot__cpu_event *e, const float *src, int32_t *offset, float *value, int32_t *start)
{
    const ot__cpu_view *v = &e->in;
    const int32_t       channel = (int32_t)(e->kw * e->channels);    /* weights from one input channel to the next */
    int32_t             count = 0;
#if OT_LANES == 16
    const __m512i lanes = _mm512_mullo_epi32(_mm512_set1_epi32(channel), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
#endif
    for (int y = 0; y < v->h; y++) {
        for (int x = 0; x < v->w; x++) {
            const float *p = src + ((size_t)y * (size_t)v->w + (size_t)x) * v->pixel;
            int32_t      base = (int32_t)x * (int32_t)e->channels;
            start[y * (v->w + 1) + x] = count;
            for (int k = 0; k < v->nb; k++, p += v->block, base += OT_BLOCK * channel) {
#if OT_LANES == 16
                __m512    u = _mm512_loadu_ps(p);
                __mmask16 m = _mm512_cmp_ps_mask(u, _mm512_setzero_ps(), _CMP_NEQ_UQ);
                _mm512_storeu_si512(offset + count, _mm512_maskz_compress_epi32(m, _mm512_add_epi32(lanes, _mm512_set1_epi32(base))));
                _mm512_storeu_ps(value + count, _mm512_maskz_compress_ps(m, u));
                count += __builtin_popcount(m);
#else
                for (int l = 0; l < OT_BLOCK; l++)
                    if (p[l] < 0.0f || p[l] > 0.0f || p[l] != p[l]) {
                        offset[count] = base + l * channel;
                        value[count++] = p[l];
                    }
#endif
            }
        }
        start[y * (v->w + 1) + v->w] = count;
    }
}

/* Output channels first..first + 16 Q of all pixels. */
FORCE_INLINE void event_group(const ot__cpu_event *e, const int32_t *offset, const float *value, const int32_t *start, const float *res, float *dst,
                              const float *shift, int block, const int Q)
{
    enum { EACH = OT_LANES < OT_BLOCK && OT_LANES > 1 ? OT_BLOCK / OT_LANES : 1 };
    const ot__cpu_view *in = &e->in, *out = &e->out;
    const size_t        first = (size_t)block * out->block;
    const float        *weight = e->weight + (size_t)block * OT_BLOCK;
    for (int oy = 0; oy < out->h; oy++)
        for (int ox = 0; ox < out->w; ox++) {
            const int x0 = ox * e->sw - e->pl, left = x0 < 0 ? 0 : x0, right = x0 + e->kw < in->w ? x0 + e->kw : in->w;
            size_t    at = first + ((size_t)oy * (size_t)out->w + (size_t)ox) * OT_BLOCK;
            vec       acc[4 * EACH];
#pragma GCC unroll 16
            for (int q = 0; q < Q * EACH; q++) acc[q] = LOAD(shift + block * OT_BLOCK + q * OT_LANES);
            for (int ky = 0; ky < e->kh && left < right; ky++) {
                const int y = oy * e->sh - e->pt + ky;
                if (y < 0 || y >= in->h) continue;
                const int32_t *row = start + y * (in->w + 1);
                const float   *w = weight + (size_t)ky * e->kernel_row;
                const ptrdiff_t back = (ptrdiff_t)x0 * (ptrdiff_t)e->channels;
                for (int32_t i = row[left]; i < row[right]; i++) {
                    const float *at_w = w + (offset[i] - back);
                    const float  s = value[i];
#pragma GCC unroll 16
                    for (int q = 0; q < Q * EACH; q++) acc[q] += LOAD(at_w + q * OT_LANES) * s;
                }
            }
#pragma GCC unroll 16
            for (int q = 0; q < Q * EACH; q++) {
                size_t here = at + (size_t)(q / EACH) * out->block + (size_t)(q % EACH * OT_LANES);
                if (res) acc[q] += LOAD(res + here);
                STORE(dst + here, acc[q]);
            }
        }
}

static void event_conv(const ot__cpu_event *e, const float *src, const float *res, float *dst, const float *shift, void *scratch)
{
    int32_t *offset = scratch, *start = offset + e->most;
    float   *value = (float *)(start + e->starts);
    events(e, src, offset, value, start);
    int o = 0;
    for (; OT_LANES == 16 && o + 4 <= e->out.nb; o += 4) event_group(e, offset, value, start, res, dst, shift, o, 4);
    for (; o + 2 <= e->out.nb; o += 2) event_group(e, offset, value, start, res, dst, shift, o, 2);
    for (; o < e->out.nb; o++) event_group(e, offset, value, start, res, dst, shift, o, 1);
}

/* How many numbers of a frame are not zero. */
static int64_t not_zero(ot__cpu_view v, const float *src)
{
    int64_t count = 0;
#if OT_LANES == 16
    for (size_t i = 0; i < v.image; i += 16)
        count += __builtin_popcount(_mm512_cmp_ps_mask(_mm512_loadu_ps(src + i), _mm512_setzero_ps(), _CMP_NEQ_UQ));
#else
    for (size_t i = 0; i < v.image; i++) count += src[i] < 0.0f || src[i] > 0.0f || src[i] != src[i];
#endif
    return count;
}
