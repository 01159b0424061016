/* status.c - the status table and the thread's last error sentence. */
#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char sentence[1024];

static const struct { ot_status st; const char *name, *text; int exit_code; } table[] = {
#define ROW(name, number, exit_code, text) {OT_##name, "OT_" #name, text, exit_code},
    OT_STATUS_MAP(ROW)
#undef ROW
};

static int find(ot_status st)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].st == st) return (int)i;
    return -1;
}

const char *ot_status_name(ot_status st) { int i = find(st); return i < 0 ? "?" : table[i].name; }
const char *ot_status_text(ot_status st) { int i = find(st); return i < 0 ? "?" : table[i].text; }
int ot_status_exit(ot_status st) { int i = find(st); return i < 0 ? 5 : table[i].exit_code; }
const char *ot_last_error(void) { return sentence; }

ot_status ot__fail(ot_status st, const char *file, int line, const char *fmt, ...)
{
    char text[sizeof sentence];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (getenv("OT_DEBUG_ERRORS")) fprintf(stderr, "%s:%d: %s: %s\n", file, line, ot_status_name(st), text);
    memcpy(sentence, text, sizeof sentence);
    return st;
}

ot_status ot__fail_prefix(ot_status st, const char *fmt, ...)
{
    char text[sizeof sentence], old[sizeof sentence];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(old, sentence, sizeof old);
    size_t n = strlen(text);
    memcpy(sentence, text, n);
    snprintf(sentence + n, sizeof sentence - n, "%s", old);
    return st;
}
