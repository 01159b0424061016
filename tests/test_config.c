/* test_config.c - YAML into structs: good files, and sentences for bad ones. */
#include "base/config.h"
#include "base/file.h"
#include "check.h"

typedef struct spec { char *name; double sigma; uint32_t chips; } spec;
static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, spec, name, 1, CYAML_UNLIMITED),
    CYAML_FIELD_FLOAT("sigma", CYAML_FLAG_OPTIONAL, spec, sigma),
    CYAML_FIELD_UINT("chips", CYAML_FLAG_OPTIONAL, spec, chips),
    CYAML_FIELD_END};
static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, spec, fields)};

static char path[512];
static const char *write_yaml(const char *text)
{
    snprintf(path, sizeof path, "%s/spec.yaml", check_scratch());
    return ot__file_write(path, text, strlen(text)) == OT_OK ? path : NULL;
}

TEST a_good_file_fills_the_struct(void)
{
    cyaml_data_t *d;
    OK(ot__config_read(&d, write_yaml("name: x\nsigma: 0.048\n"), &schema));
    const spec *s = d;
    ASSERT_STR_EQ("x", s->name);
    ASSERT_IN_RANGE(0.048, s->sigma, 0);
    ASSERT_EQ(0u, s->chips);
    ot__config_free(d, &schema);
    PASS();
}

TEST a_bad_file_is_one_sentence(const char *text, const char *words)
{
    cyaml_data_t *d;
    FAILS(OT_E_FORMAT, words, ot__config_read(&d, write_yaml(text), &schema));
    ASSERT(strstr(ot_last_error(), "spec.yaml"));
    ASSERT_FALSE(strchr(ot_last_error(), '\n'));
    ASSERT_EQ(NULL, d);
    PASS();
}

SUITE(test_config)
{
    RUN_TEST(a_good_file_fills_the_struct);
    static const char *const rows[][3] = {
        {"unknown_key", "name: x\nsigmma: 0.1\n", "line 2"},   {"unknown_key_named", "name: x\nsigmma: 0.1\n", "sigmma"},
        {"wrong_type", "name: x\nchips: many\n", "line 2"},    {"negative_count", "name: x\nchips: -1\n", "line 2"},
        {"missing_key", "sigma: 0.1\n", "name"},               {"not_a_mapping", "- 1\n- 2\n", "Expecting MAPPING"},
        {"empty", "", "want a mapping"},                       {"broken_yaml", "name: [1, 2\n", "spec.yaml"},
        {"binary", "\x01\x02\x03", "spec.yaml"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        greatest_set_test_suffix(rows[i][0]);
        RUN_TESTp(a_bad_file_is_one_sentence, rows[i][1], rows[i][2]);
    }
}
