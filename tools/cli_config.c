/* cli_config.c - `--config FILE`: common options from a YAML file.  They are put before the words of the command line, so that those
 * win, and both go through the same checks. */
#include "base/config.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* field, key; the option is the key with - for _ */
#define KEYS(X) X(backend) X(seed) X(threads) X(memory) X(data) X(limit) X(device_model) X(sigma) X(sys_share) X(bits)

typedef struct settings {
#define FIELD(key) char *key;
    KEYS(FIELD)
#undef FIELD
} settings;

static const cyaml_schema_field_t fields[] = {
#define FIELD(key) CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, settings, key, 1, CYAML_UNLIMITED),
    KEYS(FIELD)
#undef FIELD
    CYAML_FIELD_END};
static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, settings, fields)};

static const char *config_path(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!strncmp(argv[i], "--config=", 9)) return argv[i] + 9;
        if (!strcmp(argv[i], "--config") && i + 1 < argc) return argv[i + 1];
    }
    return NULL;
}

ot_status cli_config_words(int *argc, char ***argv)
{
    const char *path = config_path(*argc, *argv);
    if (!path) return OT_OK;
    cyaml_data_t *data;
    ot_status st = ot__config_read(&data, path, &schema);
    if (st != OT_OK) return st;
    const settings *s = data;
    const struct { const char *key, *value; } given[] = {
#define GIVEN(key) {#key, s->key},
        KEYS(GIVEN)
#undef GIVEN
    };
    enum { N = sizeof given / sizeof *given };
    char **words = ot_alloc((size_t)*argc + N + 1, sizeof *words);      /* lives as long as the process, like argv */
    int n = 0;
    if (words) words[n++] = (*argv)[0];
    for (size_t i = 0; words && i < N; i++) {
        if (!given[i].value) continue;
        size_t room = strlen(given[i].key) + strlen(given[i].value) + 4;
        if (!(words[n] = ot_alloc(room, 1))) { words = NULL; break; }
        snprintf(words[n], room, "--%s=%s", given[i].key, given[i].value);
        for (char *p = words[n]; *p && *p != '='; p++)
            if (*p == '_') *p = '-';
        n++;
    }
    ot__config_free(data, &schema);
    if (!words) {
        fprintf(stderr, "%s: no memory for %s\n", (*argv)[0], path);
        exit(4);
    }
    for (int i = 1; i < *argc; i++) words[n++] = (*argv)[i];
    *argc = n;
    *argv = words;
    return OT_OK;
}
