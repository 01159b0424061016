/* data.h - labelled images: mnist, fashion-mnist (idx .gz), cifar10, cifar100 (binary), npz.  Part of the network stage.
 *
 *     ot_data *test;
 *     ot_status st = ot_data_open(&test, "fashion-mnist", OT_SPLIT_TEST, 0);
 *
 * The directory is the part after `:` of the spec, else $OHMTRIM_DATA, ./data, /usr/share/datasets, each with and without the
 * set's own folder name.  Since 0.1. */
#ifndef OHMTRIM_DATA_H
#define OHMTRIM_DATA_H

#include "ohmtrim/network.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ot_split { OT_SPLIT_TRAIN, OT_SPLIT_TEST } ot_split;

typedef struct ot_data {
    char    *name;        /* "fashion-mnist" */
    int      n, c, h, w;  /* images and the shape of one */
    int      classes;     /* labels are 0..classes-1 */
    uint8_t *pixels;      /* (n, c, h, w), or NULL */
    float   *values;      /* (n, c, h, w) used as they are (an npz of floats), or NULL */
    int32_t *labels;      /* (n) */
} ot_data;

/* `spec` = NAME[:DIR or FILE]; limit 0: all images, else the first `limit`.  npz:FILE needs arrays x_test, y_test (x_train, y_train),
 * images uint8 or float32, (N, C, H, W).  OT_E_OPEN says where it looked. */
ot_status ot_data_open(ot_data **out, const char *spec, ot_split split, int limit);
void      ot_data_free(ot_data *data);
/* OT_E_SHAPE unless images and classes fit the network. */
ot_status ot_data_check(const ot_data *data, const ot_network *net);
/* Image `i` as the network wants it: (c, h, w) floats, normalised by the network's mean and std. */
void      ot_data_image(const ot_data *data, const ot_network *net, int64_t i, float *out);

#ifdef __cplusplus
}
#endif
#endif
