/* config.c - see config.h.
 *
 * libcyaml reports an error as a first line that says what is wrong, then a back trace from the inside out, one line a level, each
 * with a position in the file.  The first line and the first position make our sentence; for an unknown key that position is
 * the mapping's, so the key's own line is looked up. */
#include "config.h"
#include "fail.h"
#include "file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct complaint { char what[200]; int line; } complaint;

static void listen(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    complaint *c = ctx;
    char text[400];
    if (level < CYAML_LOG_ERROR) return;
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\n")] = 0;
    const char *p = text, *at = strstr(text, "(line: ");
    if (!strncmp(p, "Load: ", 6)) p += 6;
    if (at && !c->line) c->line = atoi(at + 7);
    if (!c->what[0] && !strstr(p, "Backtrace")) snprintf(c->what, sizeof c->what, "%.199s", p);
}

static const cyaml_config_t *configured(cyaml_config_t *cfg, complaint *c)
{
    *cfg = (cyaml_config_t){.log_fn = listen, .log_ctx = c, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};
    return cfg;
}

/* The line on which `key:` stands, or `otherwise`. */
static int line_of_key(const char *text, const char *key, int otherwise)
{
    size_t n = strlen(key);
    for (int line = 1; text; line++) {
        text += strspn(text, " \t-{");
        if (!strncmp(text, key, n) && text[n + strspn(text + n, " ")] == ':') return line;
        text = strchr(text, '\n');
        if (text) text++;
    }
    return otherwise;
}

ot_status ot__config_read(cyaml_data_t **out, const char *path, const cyaml_schema_value_t *schema)
{
    void *bytes;
    size_t n_bytes;
    complaint c = {0};
    cyaml_config_t cfg;
    *out = NULL;
    OT_TRY(ot__file_read(&bytes, &n_bytes, path, 1 << 20));
    cyaml_err_t e = cyaml_load_data(bytes, n_bytes, configured(&cfg, &c), schema, out, NULL);
    static const char unknown[] = "Unexpected key: ";
    if (!strncmp(c.what, unknown, sizeof unknown - 1)) c.line = line_of_key(bytes, c.what + sizeof unknown - 1, c.line);
    ot_free(bytes);
    if (e == CYAML_OK && *out) return OT_OK;
    if (e == CYAML_OK) OT_FAIL(OT_E_FORMAT, "%s: empty, want a mapping of keys to values", path);
    if (e == CYAML_ERR_OOM) OT_FAIL(OT_E_NOMEM, "%s: no memory for it", path);
    if (c.line) OT_FAIL(OT_E_FORMAT, "%s: line %d: %s", path, c.line, c.what[0] ? c.what : cyaml_strerror(e));
    OT_FAIL(OT_E_FORMAT, "%s: %s", path, c.what[0] ? c.what : cyaml_strerror(e));
}

void ot__config_free(cyaml_data_t *data, const cyaml_schema_value_t *schema)
{
    complaint c = {0};
    cyaml_config_t cfg;
    if (data) cyaml_free(configured(&cfg, &c), schema, data, 0);
}
