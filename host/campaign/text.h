/* text.h - a text that grows: tables and pages are put together in memory and written whole. */
#ifndef OT_CAMPAIGN_TEXT_H
#define OT_CAMPAIGN_TEXT_H

#include "ohmtrim/base.h"

typedef struct ot_text { char *bytes; size_t n, room; } ot_text;      /* {0} to begin with; ot_free(bytes) in the end */

ot_status ot__text_add(ot_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
ot_status ot__text_bytes(ot_text *t, const void *bytes, size_t n);

#endif
