/* base.h - what every stage stands on: version, status codes, the last error, memory.
 *
 * Every call that can fail returns an ot_status; on failure a sentence with the file, the place, the value seen and
 * the value wanted is kept for the calling thread and read with ot_last_error().  The library never prints or exits.
 *
 *     ot_network *net;
 *     if (ot_network_open(&net, "lenet.onnx") != OT_OK)
 *         fprintf(stderr, "%s\n", ot_last_error());
 *
 * Threads: distinct objects may be used from distinct threads at once; one object by one thread at a time; objects
 * that are only read (const) may be shared.  Since 0.1. */
#ifndef OHMTRIM_BASE_H
#define OHMTRIM_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OT_VERSION "0.1.0"

/* name, fixed number, exit code of the command (DESIGN 5), text */
#define OT_STATUS_MAP(X)                                                                   \
    X(OK,             0, 0, "ok")                                                          \
    X(E_NOMEM,        1, 4, "out of host memory")                                          \
    X(E_USAGE,        2, 2, "the command line is wrong")                                   \
    X(E_NO,           3, 1, "a check said no")                                             \
    X(E_INTERRUPTED,  4, 1, "stopped by a signal before the end")                          \
    X(E_RANGE,       10, 2, "a setting is outside its range")                              \
    X(E_OPEN,        20, 3, "a file cannot be read")                                       \
    X(E_FORMAT,      21, 3, "a file is damaged or of another format")                      \
    X(E_UNSUPPORTED, 22, 3, "a file asks for something that is not supported")             \
    X(E_SHAPE,       23, 3, "shapes do not fit")                                           \
    X(E_DATA,        24, 3, "numbers are not usable (NaN, infinite or all zero)")          \
    X(E_VERSION,     25, 3, "a file is of a newer version")                                \
    X(E_MISMATCH,    26, 3, "a stored result belongs to other settings")                   \
    X(E_BACKEND,     30, 4, "the backend asked for is not in this build or machine")       \
    X(E_CUDA,        31, 4, "the CUDA runtime reported an error")                          \
    X(E_WRITE,       32, 4, "a file cannot be written")                                    \
    X(E_LOCKED,      33, 4, "another process holds the file")                              \
    X(E_MEMORY_PLAN, 34, 4, "the memory allowed is too small")                             \
    X(E_TOOL,        35, 4, "a program that is needed is missing or failed")               \
    X(E_LIBRARY,     40, 5, "a library reported an error that should not happen")          \
    X(E_BUG,         99, 5, "a bug in ohmtrim")

typedef enum ot_status {
#define OT_STATUS_ENUM(name, number, exit_code, text) OT_##name = number,
    OT_STATUS_MAP(OT_STATUS_ENUM)
#undef OT_STATUS_ENUM
} ot_status;

const char *ot_status_name(ot_status st);      /* "OT_E_RANGE"; "?" for a number not in the table */
const char *ot_status_text(ot_status st);      /* "a setting is outside its range" */
int         ot_status_exit(ot_status st);      /* exit code of the command, 0..5 */

/* The sentence of the calling thread's last failure; "" if none.  Owned by the library, valid until the thread's next
 * failure. */
const char *ot_last_error(void);

/* Memory.  All host memory of the library goes through these.  ot_alloc gives count * size zeroed bytes, 64-byte
 * aligned, NULL when there is none or the product overflows (count or size 0 gives a valid pointer).  Freeing NULL is
 * fine. */
void *ot_alloc(size_t count, size_t size);
void *ot_realloc(void *p, size_t count, size_t size);     /* keeps the old block on NULL; new bytes are zero */
char *ot_strdup(const char *s);
void  ot_free(void *p);

typedef struct ot_memory { size_t live, peak, live_bytes, peak_bytes, calls; } ot_memory;
ot_memory ot_memory_now(void);
void      ot_memory_reset_peak(void);
/* Tests: the n-th call from now (1 = the next) of ot_alloc, ot_realloc or ot_strdup fails, once; 0 switches it off. */
void      ot_memory_fail_at(size_t n);

#ifdef __cplusplus
}
#endif
#endif
