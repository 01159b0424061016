/* npy.h - what npy.c shares with npz.c. */
#ifndef OT_BASE_NPY_H
#define OT_BASE_NPY_H

#include "ohmtrim/array.h"

enum { OT_NPY_HEADER = 576 };
/* Writes the header of a version 1 file; gives its length, a multiple of 64. */
size_t ot__npy_header(char header[OT_NPY_HEADER], ot_type type, int n_dims, const int64_t *dims);

#endif
