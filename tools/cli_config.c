/* cli_config.c - `--config FILE`: options from a YAML file.  They are put before the words of the command line, so that those win, and
 * both go through the same checks.
 *
 * Every long option of the verb is a key, with _ for - (sys_share: 0.5), but those of one run alone: config, dry-run, json, quiet.  An
 * option without a value is written `list: yes`.  All values are read as text; argp reads them as it reads the command line's. */
#include "base/config.h"
#include "base/fail.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { KEY = 32 };      /* room for a key */

typedef struct keys {
    int n;
    const struct argp_option **option;
    char (*name)[KEY];
    cyaml_schema_field_t *field;      /* n, and one that ends them */
} keys;

typedef struct one { char *value; } one;
static const cyaml_schema_field_t field_of_one = CYAML_FIELD_STRING_PTR("", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, one, value, 1, CYAML_UNLIMITED);

/* --config, or the beginning of it that argp takes for it. */
static int is_config(const char *word)
{
    const size_t n = strcspn(word, "=");
    return n >= strlen("--con") && n <= strlen("--config") && !strncmp(word, "--config", n);
}

static ot_status config_path(const char **path, int argc, char **argv)
{
    *path = NULL;
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        if (!is_config(argv[i])) continue;
        const char *value = strchr(argv[i], '='), *named = value ? value + 1 : i + 1 < argc ? argv[i + 1] : NULL;
        if (*path && named) OT_FAIL(OT_E_USAGE, "--config = '%s', and '%s' before it: want one file", named, *path);
        if (named) *path = named;
    }
    return OT_OK;
}

static int is_key(const struct argp_option *o)
{
    static const char *const of_one_run[] = {"config", "dry-run", "json", "quiet"};
    if (!o->name || o->flags & (OPTION_ALIAS | OPTION_DOC)) return 0;
    for (size_t i = 0; i < sizeof of_one_run / sizeof *of_one_run; i++)
        if (!strcmp(o->name, of_one_run[i])) return 0;
    return 1;
}

/* Counts the options of a verb and its children; with room for them, adds them too. */
static void collect(keys *k, const struct argp *argp)
{
    for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++) {
        if (!is_key(o)) continue;
        if (k->option) {
            k->option[k->n] = o;
            snprintf(k->name[k->n], KEY, "%s", o->name);
            for (char *p = k->name[k->n]; *p; p++)
                if (*p == '-') *p = '_';
            k->field[k->n] = field_of_one;
            k->field[k->n].key = k->name[k->n];
            k->field[k->n].data_offset = (uint32_t)((size_t)k->n * sizeof(one));
        }
        k->n++;
    }
    for (const struct argp_child *c = argp->children; c && c->argp; c++) collect(k, c->argp);
}

static void keys_free(keys *k)
{
    ot_free(k->field);
    ot_free(k->name);
    ot_free(k->option);
}

static ot_status keys_of(keys *k, const struct argp *argp)
{
    *k = (keys){0};
    collect(k, argp);
    const size_t n = (size_t)k->n;
    k->n = 0;
    k->option = ot_alloc(n, sizeof *k->option);
    k->name = ot_alloc(n, sizeof *k->name);
    k->field = ot_alloc(n + 1, sizeof *k->field);      /* zeroed: the last ends them */
    if (!k->option || !k->name || !k->field) OT_FAIL(OT_E_NOMEM, "%zu options: no memory", n);
    collect(k, argp);
    return OT_OK;
}

/* --option=value, or --option where the value is yes; *word NULL where it is no. */
static ot_status word_of(char **word, const struct argp_option *o, const char *key, const char *value, const char *path)
{
    *word = NULL;
    if (!o->arg) {
        if (!strcmp(value, "no") || !strcmp(value, "false")) return OT_OK;
        if (strcmp(value, "yes") && strcmp(value, "true")) OT_FAIL(OT_E_FORMAT, "%s: %s = '%s', want yes or no", path, key, value);
    }
    const size_t room = strlen(o->name) + strlen(value) + 4;
    if (!(*word = ot_alloc(room, 1))) OT_FAIL(OT_E_NOMEM, "%s: no memory for it", path);
    snprintf(*word, room, o->arg ? "--%s=%s" : "--%s", o->name, value);
    return OT_OK;
}

/* What a file's words and the command line's make together; like argv it lives as long as the process (volatile: kept though never read). */
static char **volatile kept;

static const char *from_file; /* whose words come first */
static int last_from_file;    /* one past the last of them */

const char *cli_config_place(const struct argp_state *state)
{
    static char place[512];
    if (!from_file || state->next > last_from_file) return "";
    snprintf(place, sizeof place, "%.500s: ", from_file);
    argp_err_exit_status = ot_status_exit(OT_E_FORMAT);
    return place;
}

static void words_free(char **words, int n_ours)
{
    for (int i = 1; i <= n_ours; i++) ot_free(words[i]);
    ot_free(words);
}

ot_status cli_config_words(int *argc, char ***argv, const struct argp *argp)
{
    const char *path;
    OT_TRY(config_path(&path, *argc, *argv));
    if (!path) return OT_OK;
    keys k;
    cyaml_data_t *data = NULL;
    char **words = NULL;
    int n = 0;
    ot_status st = keys_of(&k, argp);
    const cyaml_schema_value_t schema = {.type = CYAML_MAPPING, .flags = CYAML_FLAG_POINTER, .data_size = (uint32_t)((size_t)k.n * sizeof(one)), .mapping = {.fields = k.field}};
    if (st == OT_OK) st = ot__config_read(&data, path, &schema);
    if (st == OT_OK && !(words = ot_alloc((size_t)*argc + (size_t)k.n + 1, sizeof *words))) st = ot__fail(OT_E_NOMEM, __FILE__, __LINE__, "%s: no memory for it", path);
    if (st == OT_OK) words[n++] = (*argv)[0];
    for (int i = 0; st == OT_OK && i < k.n; i++) {
        const char *value = ((const one *)data)[i].value;
        if (!value) continue;
        st = word_of(&words[n], k.option[i], k.name[i], value, path);
        n += st == OT_OK && words[n] != NULL;
    }
    if (data) ot__config_free(data, &schema);
    keys_free(&k);
    if (st != OT_OK) {
        words_free(words, n - 1);
        return st;
    }
    from_file = path, last_from_file = n;
    for (int i = 1; i < *argc; i++) words[n++] = (*argv)[i];
    *argc = n;
    *argv = kept = words;
    return OT_OK;
}
