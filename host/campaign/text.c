/* text.c - see text.h. */
#include "campaign/text.h"

#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static ot_status make_room(ot_text *t, size_t n)
{
    if (t->room - t->n > n) return OT_OK;                      /* one byte stays for the 0 */
    size_t room = 2 * t->room + n + 4096;
    char *more = ot_realloc(t->bytes, room, 1);
    if (!more) OT_NOMEM("a text", room);
    t->bytes = more;
    t->room = room;
    return OT_OK;
}

ot_status ot__text_add(ot_text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    OT_TRY(make_room(t, (size_t)n));
    va_start(ap, fmt);
    vsnprintf(t->bytes + t->n, t->room - t->n, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
    return OT_OK;
}

ot_status ot__text_bytes(ot_text *t, const void *bytes, size_t n)
{
    OT_TRY(make_room(t, n));
    if (n) memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
    return OT_OK;
}
