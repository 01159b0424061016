/* identity.h - everything that a training's result depends on, as text, one `key: value` a line: a run goes on from a checkpoint only where
 * every line agrees. */
#ifndef OT_TRAIN_IDENTITY_H
#define OT_TRAIN_IDENTITY_H

#include "train/trainer.h"

enum { OT__IDENTITY_ROOM = 4096 };
void ot__identity_write(char text[OT__IDENTITY_ROOM], const ot__trainer *t);
/* OT_E_MISMATCH: the first line that differs makes the sentence. */
ot_status ot__identity_compare(const char *path, const char *stored, const char *own);

#endif
