/* array.h - numpy's .npy and .npz files, in and out.  Part of base.
 *
 * float32, float64, uint8, int32, int64 and bool, C order (Fortran order is turned on reading), little endian, up to 8 dimensions.
 * npz: stored or deflated zip members, zip64 too; written stored, with a fixed time stamp, so that equal content gives equal
 * bytes.  Files are gathered in memory, written beside their name and renamed: whole or not at all.  Since 0.1. */
#ifndef OHMTRIM_ARRAY_H
#define OHMTRIM_ARRAY_H

#include "ohmtrim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ot_type { OT_F32, OT_F64, OT_U8, OT_I32, OT_I64, OT_BOOL } ot_type;

typedef struct ot_array {
    ot_type type;
    int     n_dims;
    int64_t dims[8];
    void   *data;          /* owned; ot_array_free */
} ot_array;

size_t    ot_type_bytes(ot_type t);
int64_t   ot_array_count(const ot_array *a);              /* product of dims; 1 for a scalar */
void      ot_array_free(ot_array *a);                     /* frees data, zeroes the struct */
ot_status ot_array_convert(ot_array *a, ot_type to);      /* in place; OT_E_RANGE where a value does not fit */

ot_status ot_npy_read(ot_array *out, const char *path);
ot_status ot_npy_parse(ot_array *out, const void *bytes, size_t n_bytes, const char *name);
ot_status ot_npy_write(const char *path, ot_type type, int n_dims, const int64_t *dims, const void *data);

typedef struct ot_npz ot_npz;                             /* an npz open for reading */
ot_status   ot_npz_open(ot_npz **out, const char *path);
ot_status   ot_npz_parse(ot_npz **out, const void *bytes, size_t n_bytes, const char *name);   /* copies the bytes */
void        ot_npz_close(ot_npz *z);
int         ot_npz_count(const ot_npz *z);
const char *ot_npz_name(const ot_npz *z, int i);          /* without ".npy" */
int         ot_npz_has(const ot_npz *z, const char *name);
ot_status   ot_npz_get(ot_array *out, ot_npz *z, const char *name);

typedef struct ot_npz_writer ot_npz_writer;
ot_status ot_npz_create(ot_npz_writer **out, const char *path);
ot_status ot_npz_add(ot_npz_writer *z, const char *name, ot_type type, int n_dims, const int64_t *dims, const void *data);
ot_status ot_npz_finish(ot_npz_writer *z);                /* writes the directory, renames, frees; also frees on failure */
void      ot_npz_abandon(ot_npz_writer *z);               /* frees; NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
