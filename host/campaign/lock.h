/* lock.h - one writer a file: FILE.lock held by an open-file lock, with a line that says who. */
#ifndef OT_CAMPAIGN_LOCK_H
#define OT_CAMPAIGN_LOCK_H

#include "ohmtrim/base.h"

typedef struct ot_lock { int fd; char path[4096]; } ot_lock;

/* OT_E_LOCKED naming process and host, OT_E_WRITE.  Ends with the process, however that ends. */
ot_status ot__lock_take(ot_lock *lock, const char *file);
void      ot__lock_drop(ot_lock *lock);      /* fine on one never taken if fd is -1 */

#endif
