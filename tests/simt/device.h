/* device.h - device memory for tests of kernels, filled and read element by element: on the emulator the CPU's own. */
#ifndef OT_TESTS_DEVICE_H
#define OT_TESTS_DEVICE_H

#include "check.h"
#include "kernels/kernels.h"

/* All that was taken is given back together. */
void *device_take(size_t bytes);                        /* NaN; aborts when there is none */
void *device_copy(const void *host, size_t bytes);
void  device_give_all(void);

static inline size_t device_size(otk_type t) { return t == OTK_F16 ? 2 : 4; }
float device_get(otk_type t, const void *at, int64_t i);
void  device_put(otk_type t, void *at, int64_t i, float v);

/* The element of a tensor's image that holds (c, y, x). */
static inline int64_t device_at(otk_shape s, int64_t image, int c, int y, int x)
{
    return image * otk_image(s) + ((int64_t)y * s.w + x) * otk_channels(s.c) + c;
}

#endif
