/* fail.h - how the library's own code reports failure: OT_FAIL makes the sentence, OT_TRY passes a failure on. */
#ifndef OT_BASE_FAIL_H
#define OT_BASE_FAIL_H

#include "ohmtrim/base.h"

/* Keeps the sentence for ot_last_error and returns `st`. */
ot_status ot__fail(ot_status st, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Puts words before the sentence kept last ("net.onnx: "), for callers that know the file; returns `st`. */
ot_status ot__fail_prefix(ot_status st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define OT_FAIL(st, ...) return ot__fail((st), __FILE__, __LINE__, __VA_ARGS__)
/* for functions with a `done:` label and a variable `st` */
#define OT_FAIL_TO(label, st, code, ...)                                  \
    do {                                                                  \
        (st) = ot__fail((code), __FILE__, __LINE__, __VA_ARGS__);         \
        goto label;                                                       \
    } while (0)
#define OT_TRY(expr)                      \
    do {                                  \
        ot_status st_ = (expr);           \
        if (st_ != OT_OK) return st_;     \
    } while (0)
#define OT_TRY_TO(label, st, expr)        \
    do {                                  \
        (st) = (expr);                    \
        if ((st) != OT_OK) goto label;    \
    } while (0)
#define OT_NOMEM(what, bytes) OT_FAIL(OT_E_NOMEM, "%s: no memory for %zu bytes", (what), (size_t)(bytes))

#endif
