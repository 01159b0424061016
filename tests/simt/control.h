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

#ifdef __cplusplus
}
#endif
#endif
