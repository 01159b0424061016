/* cpu_loops_spike.h - integrate and fire over all time steps, and back through time (backend.h says what is computed).
 *
 * Frames of one image lie one after the other, so the steps of a neuron are v.image floats apart.  A strip of neurons goes through all
 * steps before the next: its membranes stay in the first-level cache, and the strips of T frames are T streams.  Backward integrates
 * again, keeping the membranes of all steps (spike->strip is chosen so that they fit), then walks back. */

enum { SPIKE_STRIP = 1024 };         /* at most; a row of it is summed in float */

FORCE_INLINE vec membrane(const ot__cpu_spike *p, vec m, vec current)
{
    const vec th = SPLAT(p->threshold);
    if (p->reset == OT_RESET_ZERO) return WHERE_NOT_GT(m, th, m) * p->leak + current;
    return m * p->leak + current - WHERE_GT(m, th, SPLAT(p->loss));
}

static void spike(ot__cpu_view v, const ot__cpu_spike *p, const float *src, float *dst, int images)
{
    const size_t image = v.image, T = (size_t)p->steps, from = p->still ? 0 : image;
    const vec    th = SPLAT(p->threshold);
    float        m[SPIKE_STRIP];
    for (int i = 0; i < images; i++, src += p->still ? image : T * image, dst += T * image)
        for (size_t at = 0; at < image; at += SPIKE_STRIP) {
            const size_t n = image - at < SPIKE_STRIP ? image - at : SPIKE_STRIP;
            memset(m, 0, n * sizeof *m);
            for (size_t t = 0; t < T; t++) {
                const float *x = src + t * from + at;
                float       *y = dst + t * image + at;
                for (size_t j = 0; j < n; j += OT_LANES) {
                    vec u = membrane(p, LOAD(m + j), LOAD(x + j));
                    STORE(m + j, u);
                    STORE(y + j, NAN_OF(WHERE_GT(u, th, SPLAT(1.0f)), u));
                }
            }
        }
}

FORCE_INLINE vec surrogate(int which, float k, vec z)
{
    const vec one = SPLAT(1.0f), size = MAX(z, -z);
    if (which == OT_SURROGATE_ATAN) {
        vec x = z * (1.57079632679489662f * k);
        return SPLAT(0.5f * k) / (one + x * x);
    }
    if (which == OT_SURROGATE_FAST_SIGMOID) {
        vec x = one + size * k;
        return one / (x * x);
    }
    return WHERE_GT(one, size * (2.0f * k), SPLAT(k));
}

/* One strip of one image; g, dsrc: its floats of the first frame.  m: (T, n) room. */
FORCE_INLINE void strip_back(const ot__cpu_spike *p, int which, int reset, size_t image, size_t n, const float *src, const float *g, float *dsrc, int add,
                             float *m, double *sums)
{
    const size_t T = (size_t)p->steps, from = p->still ? 0 : image;
    const vec    th = SPLAT(p->threshold), zero = {0};
    float        after[SPIKE_STRIP], total[SPIKE_STRIP];             /* dL/dm of the step behind; its sum over steps */
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < n; j += OT_LANES) STORE(m + t * n + j, membrane(p, t ? LOAD(m + (t - 1) * n + j) : zero, LOAD(src + t * from + j)));
    memset(after, 0, n * sizeof *after);
    if (p->still) memset(total, 0, n * sizeof *total);
    for (size_t t = T; t-- > 0;) {
        const float *now = m + t * n, *before = t ? now - n : NULL, *gt = g + t * image;
        float       *out = p->still || !dsrc ? NULL : dsrc + t * image;
        vec          sum = {0};
        for (size_t j = 0; j < n; j += OT_LANES) {
            vec u = LOAD(now + j), k = LOAD(gt + j) * surrogate(which, p->sharpness, u - th), a = LOAD(after + j);
            a = (reset == OT_RESET_ZERO ? WHERE_NOT_GT(u, th, a) : a) * p->leak + k;
            sum += k;
            if (reset == OT_RESET_SUBTRACT && before) sum += WHERE_GT(LOAD(before + j), th, a);
            STORE(after + j, a);
            if (p->still) STORE(total + j, LOAD(total + j) + a);
            if (out) STORE(out + j, a + (add ? LOAD(out + j) : zero));
        }
        spill(sums, &sum);
    }
    for (size_t j = 0; p->still && dsrc && j < n; j += OT_LANES) STORE(dsrc + j, LOAD(total + j) + (add ? LOAD(dsrc + j) : zero));
}

#define STRIP_BACK(WHICH)                                                                                                                \
    do {                                                                                                                                  \
        if (p->reset == OT_RESET_SUBTRACT) strip_back(p, WHICH, OT_RESET_SUBTRACT, image, n, x, g + at, d, add, m, sums);                  \
        else if (p->reset == OT_RESET_ZERO) strip_back(p, WHICH, OT_RESET_ZERO, image, n, x, g + at, d, add, m, sums);                     \
        else strip_back(p, WHICH, OT_RESET_FIXED, image, n, x, g + at, d, add, m, sums);                                                   \
    } while (0)

static double spike_back(ot__cpu_view v, const ot__cpu_spike *p, const float *src, const float *g, float *dsrc, int add, int images, float *m)
{
    const size_t image = v.image, T = (size_t)p->steps, in = p->still ? image : T * image;
    double       sums[OT_LANES] = {0}, sum = 0.0;
    for (int i = 0; i < images; i++, src += in, g += T * image, dsrc = dsrc ? dsrc + in : NULL)
        for (size_t at = 0; at < image; at += (size_t)p->strip) {
            const size_t n = image - at < (size_t)p->strip ? image - at : (size_t)p->strip;
            const float *x = src + at;
            float       *d = dsrc ? dsrc + at : NULL;
            switch (p->surrogate) {
            case OT_SURROGATE_ATAN: STRIP_BACK(OT_SURROGATE_ATAN); break;
            case OT_SURROGATE_FAST_SIGMOID: STRIP_BACK(OT_SURROGATE_FAST_SIGMOID); break;
            default: STRIP_BACK(OT_SURROGATE_BOXCAR);
            }
        }
    for (int l = 0; l < OT_LANES; l++) sum += sums[l];
    return -sum;
}
