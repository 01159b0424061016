/* data.h - what the readers of data sets share.  Each reads from memory, so that tests and fuzzers need no files. */
#ifndef OT_NETWORK_DATA_H
#define OT_NETWORK_DATA_H

#include "base/fail.h"
#include "ohmtrim/data.h"

/* idx, unpacked: images (magic 0x803) and labels (magic 0x801).  The names are for sentences.  limit 0: all. */
ot_status ot__data_idx(ot_data **out, const char *name, int classes, const void *images, size_t n_images, const char *images_name,
                       const void *labels, size_t n_labels, const char *labels_name, int limit);
/* Appends the records of one CIFAR binary file: label_bytes labels (the last one counts), then 3 x 32 x 32 pixels. */
ot_status ot__data_cifar(ot_data *data, const void *bytes, size_t n_bytes, const char *file, int label_bytes, int limit);
/* npz with x_test, y_test (or x_train, y_train). */
ot_status ot__data_npz(ot_data **out, const void *bytes, size_t n_bytes, const char *file, ot_split split, int limit);

#endif
