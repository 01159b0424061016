/* file.h - whole files in, whole files out. */
#ifndef OT_BASE_FILE_H
#define OT_BASE_FILE_H

#include "ohmtrim/base.h"

/* The whole file in ot_alloc memory with a 0 byte after it.  OT_E_OPEN (missing, a folder, larger than max_bytes), OT_E_NOMEM. */
ot_status ot__file_read(void **out, size_t *n_bytes, const char *path, size_t max_bytes);
/* The same for a .gz file (a plain one is read as it is); max_bytes bounds the unpacked size. */
ot_status ot__file_read_gz(void **out, size_t *n_bytes, const char *path, size_t max_bytes);
/* Written to a temporary name in the same folder, flushed, renamed: whole or not at all.  OT_E_WRITE. */
ot_status ot__file_write(const char *path, const void *bytes, size_t n_bytes);
int       ot__file_exists(const char *path);

#endif
