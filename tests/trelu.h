/* trelu.h - the golden T-ReLU network and its 32 images (tests/golden/trelu), opened for tests. */
#ifndef OT_TESTS_TRELU_H
#define OT_TESTS_TRELU_H

#include "check.h"

/* The network with the golden normalisation (x = u8 / 128 - 1).  `data` borrows nothing; free with trelu_close. */
static inline ot_status trelu_open(ot_network **net, ot_data *data)
{
    static char name[] = "trelu";
    const float shift[3] = {128.f / 255.f, 128.f / 255.f, 128.f / 255.f};
    ot_array    images = {0}, labels = {0};
    ot_status   st = ot_network_open(net, check_golden("trelu/model.onnx"));
    if (st == OT_OK) st = ot_network_set_normalisation(*net, shift, shift);
    if (st == OT_OK) st = ot_npy_read(&images, check_golden("trelu/images.npy"));
    if (st == OT_OK) st = ot_npy_read(&labels, check_golden("trelu/labels.npy"));
    if (st == OT_OK) st = ot_array_convert(&labels, OT_I32);
    *data = (ot_data){.name = name, .n = 32, .c = 3, .h = 16, .w = 16, .classes = 10, .pixels = images.data, .labels = labels.data};
    return st;
}

static inline void trelu_close(ot_network *net, ot_data *data)
{
    ot_network_free(net);
    ot_free(data->pixels);
    ot_free(data->labels);
}

#endif
