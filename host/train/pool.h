/* pool.h - a few threads that stay: job i of a run always goes to thread i % threads, so that what a thread opened it also uses. */
#ifndef OT_TRAIN_POOL_H
#define OT_TRAIN_POOL_H

#include "ohmtrim/base.h"

typedef struct ot__pool ot__pool;
typedef ot_status (*ot__pool_fn)(void *user, int job);

/* `threads` - 1 of them are started; the caller's is the first. */
ot_status ot__pool_open(ot__pool **out, int threads);
void ot__pool_close(ot__pool *p);
/* fn(user, 0 .. jobs-1); waits for all.  The failure of the lowest job that failed is returned, with its sentence. */
ot_status ot__pool_run(ot__pool *p, int jobs, ot__pool_fn fn, void *user);

#endif
