/* cases.h - small kernels, right and wrong ones, that test the emulator itself (test_simt.c). */
#ifndef OT_TESTS_CASES_H
#define OT_TESTS_CASES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct case_dim { unsigned x, y, z; } case_dim;

/* Each returns what ot_launch does. */
int case_number(case_dim grid, case_dim block, size_t shared_bytes, uint32_t *out, void *stream);   /* out[thread of all] = its number + 1 */
int case_count(int blocks, int *counters, void *stream);         /* [0] += 1, [1] = max, [2] |= 1 << block, by each of 64 threads */
int case_reverse(int *out, int barrier);                         /* 64 threads: thread t gets what thread 63 - t left in shared memory */
int case_shared_is_new(int blocks, uint32_t *out);               /* what a block finds in its shared memory, static and dynamic */
int case_early_exit(int *out);                                   /* odd threads end, even ones meet at a barrier */
int case_warp(int threads, int *out);                            /* (threads, 5): sum by xor, from above, from below, of lane 3, ballot of odd lanes */
int case_half_warp(int *out);                                    /* lanes below 16 and the others sum among themselves */
int case_ends_then_sum(int *out);                                /* lanes from 20 on have ended when the others vote */

enum { WRONG_DIVERGENT, WRONG_DEADLOCK, WRONG_LANE, WRONG_OVERLAP, WRONG_OUTSIDE, WRONG_OPERATION, WRONG_MISSING };
int case_wrong(int which, int *out);                             /* 64 threads */

float    case_half_to_float(uint16_t h);
uint16_t case_float_to_half(float f);

#ifdef __cplusplus
}
#endif
#endif
