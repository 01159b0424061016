/* select_state.h - the remix loop between runs, as an npz file. */
#ifndef OT_SELECT_STATE_H
#define OT_SELECT_STATE_H

#include "cli.h"

/* *found 0: there is no such file.  OT_E_MISMATCH: of another campaign (its spec's hash), seed, k or number of candidates. */
ot_status select_state_read(ot_remix *r, int *found, const char *path, const char *spec_sha, const ot_remix_options *o);
ot_status select_state_write(const ot_remix *r, const char *path, const char *spec_sha, const ot_remix_options *o);

#endif
