/* control.h - what tests tell the emulator and its runtime, in C. */
#ifndef SIMT_CONTROL_H
#define SIMT_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SIMT_FORWARD, SIMT_REVERSE, SIMT_RANDOM };     /* SIMT_RANDOM + k: seed k */
void        simt_order(int order);
const char *simt_error(void);                         /* the last failed launch, "" if none since simt_clear */
void        simt_clear(void);

/* Which blocks run: all, none (grids are only checked), or the first and the last of each launch. */
enum { SIMT_ALL_BLOCKS, SIMT_NO_BLOCKS, SIMT_END_BLOCKS };
void    simt_blocks(int which);
int64_t simt_launches(void);                          /* since the program began */

/* The runtime's `n`-th call from now (1: the next), a launch too, fails with `error`, once; giving back never does.
 * 0: none fails.  simt_calls counts them; simt_live: device memory, streams and graphs that are held now. */
void    simt_fail_call(int64_t n, int error);
int64_t simt_calls(void);
int64_t simt_live(void);
void    simt_memory(size_t bytes);                    /* what the device has; cudaMalloc beyond it fails.  0: no limit */
void    simt_device(int count, int major, int minor, int driver_version);
/* Memory is reserved, not filled: sizes that no machine has.  For launches of a few blocks. */
void    simt_sparse(int on);

/* The next n times between events, in milliseconds, in place of the clock's. */
void    simt_elapsed(const float *ms, int n);
void    simt_hold(int n);                             /* adds to simt_live: what a library holds */

/* The stand-ins of cuBLAS and cuDNN (libs.cpp), loaded by name as the real ones are.  `missing`: the head of a library's or a call's name that
 * is not there; `failing`: a call that gives `status` from its `after`-th time on.  NULL: none. */
void   *simt_library(const char *path);
void   *simt_symbol(void *library, const char *name);
void    simt_libs(const char *missing, const char *failing, int status, int after);
const char *simt_library_path(void);                  /* of the last one found */
int64_t simt_lib_calls(const char *name);             /* of this call since the program began; NULL: all */

#ifdef __cplusplus
}
#endif
#endif
