/* spec.c - what a campaign is, as YAML, as `--set key=value`, and as the text that is stored.
 *
 * One table of keys says for each its type, its range and where it lies in the struct.  libcyaml reads the file into texts by a schema
 * made from the same list (so it knows every key and refuses others); each text then goes through ot_campaign_spec_set, as one from
 * the command line does, so both meet the same checks and the same sentences. */
#include "campaign/spec.h"

#include "base/config.h"
#include "base/fail.h"
#include "base/number.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(ot_campaign_spec, field)
#define TEXT(field) SPEC_TEXT, AT(field), 0, sizeof(((ot_campaign_spec *)0)->field)

/* identifier, key, what it does to results, type and place and range */
#define KEYS(X)                                                                        \
    X(network, "network", SPEC_PLACE, TEXT(network))                                   \
    X(data, "data", SPEC_PLACE, TEXT(data))                                            \
    X(test_limit, "test_limit", SPEC_FIXED, SPEC_INT, AT(test_limit), 0, INT32_MAX)    \
    X(train_limit, "train_limit", SPEC_FIXED, SPEC_INT, AT(train_limit), 0, INT32_MAX) \
    X(device_model, "device_model", SPEC_PLACE, TEXT(device_model))                    \
    X(sigma, "sigma", SPEC_FIXED, SPEC_REAL, AT(variation.sigma), 0, 0.08)             \
    X(stuck_lrs, "stuck_lrs", SPEC_FIXED, SPEC_REAL, AT(variation.stuck_lrs), 0, 1)    \
    X(stuck_hrs, "stuck_hrs", SPEC_FIXED, SPEC_REAL, AT(variation.stuck_hrs), 0, 1)    \
    X(sys_share, "sys_share", SPEC_FIXED, SPEC_REAL, AT(variation.sys_share), 0, 1)    \
    X(bits, "bits", SPEC_FIXED, SPEC_INT, AT(variation.bits), 2, 16)                   \
    X(seed, "seed", SPEC_FIXED, SPEC_SEED, AT(variation.seed), 0, 0)                   \
    X(casebook_chips, "casebook_chips", SPEC_FIXED, SPEC_INT, AT(casebook_chips), 0, 10000000) \
    X(chips, "chips", SPEC_GROWS, SPEC_INT, AT(chips), 0, 10000000)                    \
    X(stimulus_images, "stimulus_images", SPEC_FIXED, SPEC_INT, AT(stimulus_images), 1, 100000) \
    X(stimulus, "stimulus", SPEC_CHOICE, TEXT(stimulus))                               \
    X(signature, "signature", SPEC_FIXED, TEXT(signature))                             \
    X(ladder_bits, "ladder_bits", SPEC_FIXED, SPEC_INT, AT(ladder.bits), 0, 16)        \
    X(ladder_low, "ladder_low", SPEC_FIXED, SPEC_REAL, AT(ladder.low), 0.015625, 64)   \
    X(ladder_high, "ladder_high", SPEC_FIXED, SPEC_REAL, AT(ladder.high), 0.015625, 64) \
    X(tile, "tile", SPEC_FIXED, SPEC_INT, AT(tile), 1, 4096)                           \
    X(backend, "backend", SPEC_PLACE, TEXT(backend))
#define TUNE_KEYS(X)                                                                   \
    X(lr, "tune.lr", SPEC_FIXED, SPEC_REAL, AT(tune.lr), 0, 10)                        \
    X(epochs, "tune.epochs", SPEC_FIXED, SPEC_REAL, AT(tune.epochs), 0, 10000)         \
    X(steps, "tune.steps", SPEC_FIXED, SPEC_INT, AT(tune.steps), 0, 1000000)           \
    X(minibatch, "tune.minibatch", SPEC_FIXED, SPEC_INT, AT(tune.minibatch), 1, 4096)  \
    X(subset_frac, "tune.subset_frac", SPEC_FIXED, SPEC_REAL, AT(tune.subset_frac), 0, 1) \
    X(images, "tune.images", SPEC_FIXED, SPEC_INT, AT(tune.images), 2, 4096)           \
    X(polish_steps, "tune.polish_steps", SPEC_FIXED, SPEC_INT, AT(tune.polish_steps), 1, 1000000) \
    X(polish_images, "tune.polish_images", SPEC_FIXED, SPEC_INT, AT(tune.polish_images), 1, INT32_MAX) \
    X(gtm_cells, "tune.gtm_cells", SPEC_FIXED, SPEC_INT, AT(tune.gtm_cells), 1, 100000000) \
    X(ltm_columns, "tune.ltm_columns", SPEC_FIXED, SPEC_INT, AT(tune.ltm_columns), 1, 65536) \
    X(retrain_frac, "tune.retrain_frac", SPEC_FIXED, SPEC_REAL, AT(tune.retrain_frac), 1e-9, 1) \
    X(retrain_lr, "tune.retrain_lr", SPEC_FIXED, SPEC_REAL, AT(tune.retrain_lr), 1e-12, 1) \
    X(policy, "tune.policy", SPEC_FIXED, SPEC_POLICY, AT(tune.policy), 0, 0)           \
    X(optimizer, "tune.optimizer", SPEC_FIXED, SPEC_OPTIMIZER, AT(tune.optimizer), 0, 0) \
    X(momentum, "tune.momentum", SPEC_FIXED, SPEC_REAL, AT(tune.momentum), 0, 0.9999)

#define ROW(id, key, role, ...) {key, role, __VA_ARGS__},
static const spec_key keys[] = {KEYS(ROW){"tuners", SPEC_GROWS, SPEC_TUNERS, AT(tuners), 0, OT_TUNERS}, TUNE_KEYS(ROW)};
enum { N_KEYS = sizeof keys / sizeof *keys };

int             ot__spec_keys(void) { return N_KEYS; }
const spec_key *ot__spec_key(int i) { return &keys[i]; }

void ot_campaign_spec_defaults(ot_campaign_spec *spec)
{
    *spec = (ot_campaign_spec){.device_model = "r1", .variation = OT_VARIATION_INIT, .casebook_chips = 100, .chips = 100,
                               .stimulus_images = 10, .n_tuners = OT_TUNERS_USUAL, .tune = ot_tune_defaults(), .tile = 128, .backend = "auto", .stimulus = "random",
                               .signature = "full", .ladder = OT_LADDER_INIT};
    for (int i = 0; i < OT_TUNERS_USUAL; i++) spec->tuners[i] = (ot_tuner)i;
    spec->tune.seed = spec->variation.seed;
}

int ot__spec_later(const spec_key *k, const char *value)
{
    static const struct { const char *key, *value; } later[] = {
        {"stuck_lrs", "0"}, {"stuck_hrs", "0"}, {"signature", "full"}, {"ladder_bits", "5"}, {"ladder_low", "0.5"}, {"ladder_high", "1.5"},
        {"tune.gtm_cells", "1000"}, {"tune.ltm_columns", "1"}, {"tune.retrain_frac", "0.01"}, {"tune.retrain_lr", "0.003"}, {"tune.policy", "none"}, {"tune.optimizer", "adam"}, {"tune.momentum", "0"}};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (!strcmp(k->name, later[i].key) && !strcmp(value, later[i].value)) return 1 + (i > 1);
    return 0;
}

int ot__spec_has_tuner(const ot_campaign_spec *spec, ot_tuner t)
{
    for (int i = 0; i < spec->n_tuners; i++)
        if (spec->tuners[i] == t) return 1;
    return 0;
}

ot_tuner ot__spec_casebook_tuner(const ot_campaign_spec *spec)
{
    for (int i = 0; i < spec->n_tuners; i++)
        if (ot_tuner_wants_casebook(spec->tuners[i])) return spec->tuners[i];
    return OT_TUNERS;
}

/* Strictly: what is not one whole value of the key's type and range is refused. */
static ot_status take_number(ot_campaign_spec *spec, const spec_key *k, const char *value)
{
    char *end, *place = (char *)spec + k->at;
    errno = 0;
    if (k->type == SPEC_REAL) {
        double v = strtod(value, &end);
        if (end == value || *end || errno || !(v >= k->least && v <= k->most))
            OT_FAIL(OT_E_RANGE, "%s = '%.60s', want a number %g..%g", k->name, value, k->least, k->most);
        *(double *)(void *)place = v;
    } else if (k->type == SPEC_INT) {
        long long v = strtoll(value, &end, 10);
        if (end == value || *end || errno || !((double)v >= k->least && (double)v <= k->most))
            OT_FAIL(OT_E_RANGE, "%s = '%.60s', want a whole number %.0f..%.0f", k->name, value, k->least, k->most);
        *(int *)(void *)place = (int)v;
    } else {
        unsigned long long v = strtoull(value, &end, 0);
        if (end == value || *end || errno || strchr(value, '-'))
            OT_FAIL(OT_E_RANGE, "%s = '%.60s', want a whole number 0..18446744073709551615", k->name, value);
        *(uint64_t *)(void *)place = v;
        spec->tune.seed = v;
    }
    return OT_OK;
}

static ot_status take_tuners(ot_campaign_spec *spec, const char *value)
{
    char name[64];
    int n = 0, seen[OT_TUNERS] = {0};
    ot_tuner got[OT_TUNERS], t;
    for (const char *p = value + strspn(value, " "); *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, ",");
        snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), p);
        for (size_t e = strlen(name); e && name[e - 1] == ' ';) name[--e] = 0;
        if (ot_tuner_parse(&t, name) != OT_OK) return ot__fail_prefix(OT_E_RANGE, "tuners: ");
        if (seen[t]++) OT_FAIL(OT_E_RANGE, "tuners: '%s' stands there twice, want it once", name);
        got[n++] = t;
        p += len + (p[len] == ',');
    }
    if (!n) OT_FAIL(OT_E_RANGE, "tuners: none given, want one at least");
    spec->n_tuners = n;
    memcpy(spec->tuners, got, sizeof got);
    return OT_OK;
}

ot_status ot_campaign_spec_set(ot_campaign_spec *spec, const char *key, const char *value)
{
    for (int i = 0; i < N_KEYS; i++) {
        const spec_key *k = &keys[i];
        if (strcmp(k->name, key)) continue;
        if (k->type == SPEC_TUNERS) return take_tuners(spec, value);
        if (k->type == SPEC_POLICY || k->type == SPEC_OPTIMIZER) {
            ot_status st = k->type == SPEC_POLICY ? ot_policy_read(&spec->tune.policy, value)
                                                  : ot_optimizer_parse(&spec->tune.optimizer, &spec->tune.momentum, value);
            return st == OT_OK ? st : ot__fail_prefix(st, "%s: ", key);
        }
        if (k->type != SPEC_TEXT) return take_number(spec, k, value);
        int control = 0;
        for (const char *c = value; *c; c++) control |= (unsigned char)*c < ' ' || *c == 127;
        if (!*value || strlen(value) >= (size_t)k->most || control)
            OT_FAIL(OT_E_RANGE, "%s = '%.60s', want a text of 1..%.0f bytes without line ends and control characters", k->name, value, k->most - 1);
        strcpy((char *)spec + k->at, value);
        return OT_OK;
    }
    char known[512] = "";
    for (int i = 0; i < N_KEYS; i++) snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", keys[i].name);
    OT_FAIL(OT_E_RANGE, "the key '%.60s' is not known, want one of %s", key, known);
}

ot_status ot_campaign_spec_check(const ot_campaign_spec *spec)
{
    if (!spec->network[0]) OT_FAIL(OT_E_RANGE, "network is missing, want an ONNX file");
    if (!spec->data[0]) OT_FAIL(OT_E_RANGE, "data is missing, want a data set such as fashion-mnist");
    if (spec->casebook_chips + spec->chips < 1) OT_FAIL(OT_E_RANGE, "casebook_chips and chips are both 0, want a chip at least");
    ot_tuner looks = ot__spec_casebook_tuner(spec);
    if (spec->chips > 0 && looks < OT_TUNERS && spec->casebook_chips < 2)
        OT_FAIL(OT_E_RANGE, "casebook_chips = %d, want 2 or more: the tuner '%s' looks in the casebook", spec->casebook_chips, ot_tuner_name(looks));
    if (strcmp(spec->signature, "full") && strcmp(spec->signature, "final")) OT_FAIL(OT_E_RANGE, "signature = '%s', want full or final", spec->signature);
    if (!ot_ladder_fits(&spec->ladder)) OT_FAIL(OT_E_RANGE, "ladder_low = %g, ladder_high = %g, want the second larger", spec->ladder.low, spec->ladder.high);
    OT_TRY(ot_variation_check(&spec->variation));
    return ot_tune_check(&spec->tune);
}

_Static_assert((int)OT_POLICY_TEXT <= (int)SPEC_VALUE, "a policy is a value");

/* What libcyaml fills: a text for each key given. */
#define FIELD(id, ...) char *id;
typedef struct tune_texts { TUNE_KEYS(FIELD) } tune_texts;
typedef struct texts {
    KEYS(FIELD)
    tune_texts *tune;
    char      **tuners;
    uint32_t    tuners_count;
} texts;

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define TEXT_FIELD(id, ...) CYAML_FIELD_STRING_PTR(#id, OPTIONAL, texts, id, 1, CYAML_UNLIMITED),
#define TUNE_FIELD(id, ...) CYAML_FIELD_STRING_PTR(#id, OPTIONAL, tune_texts, id, 1, CYAML_UNLIMITED),
static const cyaml_schema_value_t name_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, CYAML_UNLIMITED)};
static const cyaml_schema_field_t tune_fields[] = {TUNE_KEYS(TUNE_FIELD) CYAML_FIELD_END};
static const cyaml_schema_field_t fields[] = {
    KEYS(TEXT_FIELD) CYAML_FIELD_SEQUENCE("tuners", OPTIONAL, texts, tuners, &name_schema, 1, OT_TUNERS),
    CYAML_FIELD_MAPPING_PTR("tune", OPTIONAL, texts, tune, tune_fields), CYAML_FIELD_END};
static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, texts, fields)};

static ot_status take_texts(ot_campaign_spec *spec, const texts *t)
{
    const struct { const char *key, *value; } given[] = {
#define GIVEN(id, key, ...) {key, t->id},
#define TUNE_GIVEN(id, key, ...) {key, t->tune ? t->tune->id : NULL},
        KEYS(GIVEN) TUNE_KEYS(TUNE_GIVEN)
    };
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i].value) OT_TRY(ot_campaign_spec_set(spec, given[i].key, given[i].value));
    if (!t->tuners) return OT_OK;
    char list[512] = "";
    for (uint32_t i = 0; i < t->tuners_count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%.60s", i ? "," : "", t->tuners[i]);
    return take_tuners(spec, list);
}

ot_status ot_campaign_spec_read(ot_campaign_spec *spec, const char *yaml_path)
{
    cyaml_data_t *data;
    ot_campaign_spec s;
    ot_campaign_spec_defaults(&s);
    OT_TRY(ot__config_read(&data, yaml_path, &schema));
    ot_status st = take_texts(&s, data);
    ot__config_free(data, &schema);
    if (st != OT_OK) return ot__fail_prefix(OT_E_FORMAT, "%s: ", yaml_path);
    *spec = s;
    return OT_OK;
}

void ot__spec_value(char out[SPEC_VALUE], const ot_campaign_spec *spec, const spec_key *k)
{
    const void *place = (const char *)spec + k->at;
    switch (k->type) {
    case SPEC_TEXT: snprintf(out, SPEC_VALUE, "%s", (const char *)place); return;
    case SPEC_INT: snprintf(out, SPEC_VALUE, "%d", *(const int *)place); return;
    case SPEC_POLICY: ot_policy_write(out, place); return;
    case SPEC_OPTIMIZER: snprintf(out, SPEC_VALUE, "%s", ot_optimizer_name(spec->tune.optimizer, spec->tune.momentum)); return;
    case SPEC_SEED: snprintf(out, SPEC_VALUE, "%llu", (unsigned long long)*(const uint64_t *)place); return;
    case SPEC_REAL: ot__number_text(out, *(const double *)place); return;
    case SPEC_TUNERS:
        out[0] = 0;
        for (int i = 0; i < spec->n_tuners; i++)
            snprintf(out + strlen(out), SPEC_VALUE - strlen(out), "%s%s", i ? ", " : "", ot_tuner_name(spec->tuners[i]));
        return;
    }
}

/* YAML's single quotes take everything as it is but themselves, which stand twice. */
static char *quoted(char *p, const char *text)
{
    *p++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') *p++ = '\'';
        *p++ = *text;
    }
    *p++ = '\'';
    *p++ = '\n';
    *p = 0;
    return p;
}

ot_status ot_campaign_spec_text(char **out, const ot_campaign_spec *spec)
{
    enum { LINE = 2 * SPEC_VALUE + 64 };
    char *text = ot_alloc(N_KEYS + 1, LINE), value[SPEC_VALUE], *p = text;
    int below = 0;
    if (!text) OT_NOMEM("a spec", (size_t)(N_KEYS + 1) * LINE);
    for (int i = 0; i < N_KEYS; i++) {
        const spec_key *k = &keys[i];
        const char *dot = strchr(k->name, '.');
        ot__spec_value(value, spec, k);
        if (dot && !below++) p += sprintf(p, "tune:\n");
        if (k->type == SPEC_TEXT && !value[0]) continue;
        p += sprintf(p, "%s%s: ", dot ? "  " : "", dot ? dot + 1 : k->name);
        p = k->type == SPEC_TEXT || k->type == SPEC_POLICY ? quoted(p, value) : p + sprintf(p, k->type == SPEC_TUNERS ? "[%s]\n" : "%s\n", value);
    }
    *out = text;
    return OT_OK;
}
