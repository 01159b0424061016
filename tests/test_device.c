/* test_device.c - presets, f(delta), device files in both formats. */
#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>

static const char *const preset_names[] = {"r1", "r2", "r3"};

static ot_status parse(ot_device *d, const char *text) { return ot_device_parse(d, text, strlen(text), "dev"); }

TEST presets_open_and_are_sound(void)
{
    for (int i = 0; i < 3; i++) {
        ot_device d;
        const char *what = NULL;
        ASSERT_STR_EQ(preset_names[i], ot_device_preset(i, &what));
        ASSERT(what && *what);
        OK(ot_device_open(&d, preset_names[i]));
        OK(ot_device_check(&d));
        ASSERT_STR_EQ(preset_names[i], d.name);
        ASSERT_EQ(d.g[0], ot_device_conductance(&d, OT_LRS, 0));
        ASSERT_EQ(d.g[1], ot_device_conductance(&d, OT_HRS, 0));
    }
    ASSERT_EQ(NULL, ot_device_preset(3, NULL));
    ASSERT_EQ(NULL, ot_device_preset(-1, NULL));
    PASS();
}

TEST r1_gives_the_golden_f(void)
{
    ot_array delta, f;
    ot_device d;
    ASSERT(check_load(&delta, "chipstat/weights/f_delta.npy"));
    ASSERT(check_load(&f, "chipstat/weights/f.npy"));
    OK(ot_device_open(&d, "r1"));
    int64_t n = ot_array_count(&delta);
    ASSERT_EQ(2 * n, ot_array_count(&f));
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < n; i++) {
            double want = ((double *)f.data)[s * n + i], got = ot_device_conductance(&d, (ot_state)s, ((double *)delta.data)[i]);
            ASSERT(fabs(got / want - 1) <= 1e-13); /* Horner in double */
        }
    ot_array_free(&delta);
    ot_array_free(&f);
    PASS();
}

TEST a_saved_device_reads_back_to_the_bit(void)
{
    char path[400];
    snprintf(path, sizeof path, "%s/dev.json", check_scratch());
    for (int i = 0; i < 3; i++) {
        ot_device d, e;
        OK(ot_device_open(&d, preset_names[i]));
        d.g[0] *= 1 + 1e-15, d.poly[1][3] /= 3, d.s[1] /= 7;
        snprintf(d.source, sizeof d.source, "quote \" backslash \\ and an a umlaut \xc3\xa4");
        OK(ot_device_save(&d, path));
        memset(&e, 0xff, sizeof e);
        OK(ot_device_open(&e, path));
        ASSERT_STR_EQ(d.name, e.name);
        ASSERT_STR_EQ(d.source, e.source);
        ASSERT_EQ(0, memcmp(d.g, e.g, sizeof d.g));
        ASSERT_EQ(0, memcmp(d.s, e.s, sizeof d.s));
        for (int s = 0; s < 2; s++) {
            ASSERT_EQ(d.n_poly[s], e.n_poly[s]);
            ASSERT_EQ(0, memcmp(d.poly[s], e.poly[s], sizeof(double) * (size_t)d.n_poly[s]));
        }
        ASSERT(d.domain == e.domain && d.g_min == e.g_min && d.g_max == e.g_max && d.valid_min == e.valid_min &&
               d.max_rel_error == e.max_rel_error);
    }
    PASS();
}

#define HEAD "{\"format\": \"ohmtrim-device\", \"version\": 1, "
#define BODY                                                                                                                       \
    "\"g_lrs\": 5e-5, \"g_hrs\": 1e-6, \"poly_lrs\": [1, 0.5], \"poly_hrs\": [1], \"domain\": 0.2, \"g_min\": 1e-7, \"g_max\": "   \
    "1e-4"

TEST what_a_file_leaves_out_follows_from_the_rest(void)
{
    ot_device d;
    OK(parse(&d, " \n" HEAD BODY "}\n"));
    ASSERT_EQ(-0.2, d.valid_min);
    ASSERT_EQ(2.5, d.s[0]);
    ASSERT_EQ(0, d.s[1]);
    PASS();
}

TEST a_bad_json_file_is_one_clear_sentence(void)
{
    static const struct {
        ot_status st;
        const char *words, *text;
    } row[] = {
        {OT_E_FORMAT, "dev: the file is empty", " \n"},
        {OT_E_FORMAT, "dev: not JSON at byte", HEAD BODY},
        {OT_E_FORMAT, "dev: not JSON at byte", HEAD "\"g_lrs\": NaN}"},
        {OT_E_FORMAT, "not JSON", "{\"format\""},
        {OT_E_FORMAT, "something follows the object", HEAD BODY "} x"},
        {OT_E_FORMAT, "key 'format' is missing", "{}"},
        {OT_E_FORMAT, "format = \"other\", want \"ohmtrim-device\"", "{\"format\": \"other\"}"},
        {OT_E_FORMAT, "key 'version' is missing", "{\"format\": \"ohmtrim-device\"}"},
        {OT_E_VERSION, "version = 2, want 1", "{\"format\": \"ohmtrim-device\", \"version\": 2}"},
        {OT_E_FORMAT, "version = 0", "{\"format\": \"ohmtrim-device\", \"version\": 0}"},
        {OT_E_FORMAT, "the key 'gain' is not known", HEAD BODY ", \"gain\": 1}"},
        {OT_E_FORMAT, "'g_lrs' stands there twice", HEAD BODY ", \"g_lrs\": 1e-5}"},
        {OT_E_FORMAT, "'g_lrs' is missing, want a number", HEAD "\"g_hrs\": 1e-6}"},
        {OT_E_FORMAT, "g_lrs = \"5e-5\", want a number", HEAD "\"g_lrs\": \"5e-5\"}"},
        {OT_E_FORMAT, "g_lrs = null, want a number", HEAD "\"g_lrs\": null}"},
        {OT_E_FORMAT, "domain is not finite", HEAD "\"domain\": 1e999}"},
        {OT_E_FORMAT, "poly_lrs = 1, want an array", HEAD "\"poly_lrs\": 1}"},
        {OT_E_FORMAT, "poly_lrs has 0 numbers, want 1..16", HEAD "\"poly_lrs\": []}"},
        {OT_E_FORMAT, "poly_lrs has 17 numbers", HEAD "\"poly_lrs\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}"},
        {OT_E_FORMAT, "poly_lrs = {}, want a number", HEAD "\"poly_lrs\": [1, {}]}"},
        {OT_E_FORMAT, "name = 3, want a text", HEAD "\"name\": 3}"},
        {OT_E_FORMAT, "name has 70 bytes, want at most 63",
         HEAD "\"name\": \"0123456789012345678901234567890123456789012345678901234567890123456789\"}"},
        {OT_E_FORMAT, "name holds a control character", HEAD "\"name\": \"\\u001b[2J\"}"},
        {OT_E_DATA, "dev: valid_min = 0.1", HEAD BODY ", \"valid_min\": 0.1}"},
        {OT_E_DATA, "dev: max_rel_error = -1", HEAD BODY ", \"max_rel_error\": -1}"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        ot_device d, was;
        memset(&d, 0x5a, sizeof d);
        was = d;
        FAILS(row[i].st, row[i].words, parse(&d, row[i].text));
        ASSERT_EQ(0, memcmp(&was, &d, sizeof d));
    }
    ot_device d;
    char text[] = HEAD BODY "}\0 ";
    FAILS(OT_E_FORMAT, "something follows", ot_device_parse(&d, text, sizeof text - 1, "dev"));
    PASS();
}

TEST a_device_that_cannot_be_is_refused(void)
{
    ot_device good, d;
    OK(ot_device_open(&good, "r1"));
#define BAD(WORDS, CHANGE)                                                                                                         \
    do {                                                                                                                           \
        d = good;                                                                                                                  \
        CHANGE;                                                                                                                    \
        FAILS(OT_E_RANGE, WORDS, ot_device_check(&d));                                                                             \
    } while (0)
    BAD("domain = nan", d.domain = NAN);
    BAD("domain = 0.6", d.domain = 0.6);
    BAD("valid_min = nan", d.valid_min = NAN);
    BAD("valid_min = -0.3", d.valid_min = -0.3);
    BAD("g_min = 0 ", d.g_min = 0);
    BAD("g_max = nan", d.g_max = NAN);
    BAD("g_lrs = nan", d.g[0] = NAN);
    BAD("g_hrs = 1e-08", d.g[1] = 1e-8);
    BAD("poly_lrs has 0", d.n_poly[0] = 0);
    BAD("poly_hrs has 17", d.n_poly[1] = 17);
    BAD("poly_lrs[0] = 1.01", d.poly[0][0] = 1.01);
    BAD("poly_hrs[7] = nan", d.poly[1][7] = NAN);
    BAD("s_lrs = inf", d.s[0] = INFINITY);
    BAD("max_rel_error = nan", d.max_rel_error = NAN);
    BAD("want LRS above HRS", d.poly[0][1] = -3);
    char path[400];
    snprintf(path, sizeof path, "%s/never.json", check_scratch());
    d = good, d.domain = 0;
    FAILS(OT_E_RANGE, "domain = 0", ot_device_save(&d, path));
    FAILS(OT_E_OPEN, "never.json", ot_device_open(&d, path));
    FAILS(OT_E_OPEN, "device 'r9' is no preset (r1, r2, r3)", ot_device_open(&d, "r9"));
    FAILS(OT_E_WRITE, "nowhere", ot_device_save(&good, "/nowhere/at/all.json"));
    snprintf(path, sizeof path, "%s/pipe", check_scratch());
    ASSERT_EQ(0, mkfifo(path, 0600));
    FAILS(OT_E_WRITE, "is no regular file", ot_device_save(&good, path)); /* and stays what it is */
    PASS();
}

TEST a_table_gives_back_its_mean_and_sigma(void)
{
    ot_device d;
    OK(parse(&d, "# 100 cells\r\nstate, mean ,sigma\r\n\r\nLRS, 5e-5, 5e-6\r\nhrs,1e-6,1e-7\r\n"));
    const double want[2][2] = {{5e-5, 5e-6}, {1e-6, 1e-7}};
    for (int s = 0; s < 2; s++) { /* three nodes of Gauss and Hermite are exact for a line's mean and variance */
        const double node[3] = {-sqrt(3), 0, sqrt(3)}, weight[3] = {1. / 6, 2. / 3, 1. / 6};
        double mean = 0, var = 0;
        for (int i = 0; i < 3; i++) mean += weight[i] * ot_device_conductance(&d, (ot_state)s, 0.048 * node[i]);
        for (int i = 0; i < 3; i++) var += weight[i] * pow(ot_device_conductance(&d, (ot_state)s, 0.048 * node[i]) - mean, 2);
        ASSERT(fabs(mean / want[s][0] - 1) < 1e-13);
        ASSERT(fabs(sqrt(var) / want[s][1] - 1) < 1e-13);
    }
    ASSERT(d.s[0] > 0 && d.s[1] < 0);
    OK(parse(&d, "sigma,reference,state,mean\n5e-6,0.02,1,5e-5\n0,0.1,0,1e-6"));
    ASSERT_IN_RANGE(0.12, d.domain, 1e-15);
    ASSERT_IN_RANGE(5, d.s[0], 1e-12);
    ASSERT_EQ(1, d.n_poly[1]);
    char path[400];
    snprintf(path, sizeof path, "%s/table.csv", check_scratch());
    FILE *f = fopen(path, "w");
    fputs("state,mean,sigma\nLRS,5e-5,1e-5\nHRS,1e-6,5e-7\n", f);
    fclose(f);
    OK(ot_device_open(&d, path));
    ASSERT(strstr(d.source, "table.csv"));
    PASS();
}

TEST a_bad_table_is_one_clear_sentence(void)
{
#define COLUMNS "state,mean,sigma\n"
    static const struct {
        ot_status st;
        const char *words, *text;
    } row[] = {
        {OT_E_FORMAT, "dev: no first line", "# nothing\n"},
        {OT_E_FORMAT, "line 1: column 'hello' is not known", "hello"},
        {OT_E_FORMAT, "line 1: column 'mean' stands there twice", "state,mean,mean,sigma\n"},
        {OT_E_FORMAT, "line 2: column 'sigma' is missing", "\nstate,mean\n"},
        {OT_E_FORMAT, "no row of state LRS", COLUMNS},
        {OT_E_FORMAT, "no row of state HRS", COLUMNS "LRS,1e-5,1e-6"},
        {OT_E_FORMAT, "line 2 has 2 fields, want 3", COLUMNS "LRS,1e-5"},
        {OT_E_FORMAT, "line 2 has more than 3 fields", COLUMNS "LRS,1e-5,1e-6,3"},
        {OT_E_UNSUPPORTED, "line 2: state = 'MRS', want LRS or HRS", COLUMNS "MRS,1e-5,1e-6"},
        {OT_E_FORMAT, "line 2: mean = 'nan', want a number", COLUMNS "LRS,nan,1e-6"},
        {OT_E_FORMAT, "line 2: mean = '1e-5x'", COLUMNS "LRS,1e-5x,1e-6"},
        {OT_E_FORMAT, "line 2: sigma = ''", COLUMNS "LRS,1e-5,"},
        {OT_E_DATA, "line 2: mean = -1", COLUMNS "LRS,-1,1e-6"},
        {OT_E_DATA, "line 2: sigma = -1e-06", COLUMNS "LRS,1e-5,-1e-6"},
        {OT_E_DATA, "reference = 0,", "state,mean,sigma,reference\nLRS,1e-5,1e-6,0"},
        {OT_E_FORMAT, "line 3: a second row", COLUMNS "LRS,1e-5,1e-6\n1,1e-5,1e-6\n"},
        {OT_E_DATA, "want at least twice", COLUMNS "LRS,1e-6,1e-7\nHRS,1e-5,1e-6\n"},
        {OT_E_FORMAT, "byte 1 is 0x01", COLUMNS "L\001S,1e-5,1e-6\n"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        ot_device d;
        FAILS(row[i].st, row[i].words, parse(&d, row[i].text));
    }
    char line[1000];
    memset(line, 'x', sizeof line);
    ot_device d;
    FAILS(OT_E_FORMAT, "line 1 has 1000 bytes", ot_device_parse(&d, line, sizeof line, "dev"));
    PASS();
}

TEST the_tail_is_counted(void)
{
    ot_device d;
    double tail[2];
    OK(ot_device_open(&d, "r2"));
    ot_device_tail(&d, 0.048, tail);
    ASSERT_IN_RANGE(0.5 * erfc(0.156 / 0.048 / sqrt(2)), tail[0], 1e-15);
    ASSERT_IN_RANGE(erfc(0.25 / 0.048 / sqrt(2)), tail[1], 1e-18);
    ot_device_tail(&d, 0, tail);
    ASSERT(tail[0] == 0 && tail[1] == 0);
    OK(ot_device_open(&d, "r1"));
    ot_device_tail(&d, 0.08, tail);
    ASSERT(tail[0] == 0 && tail[1] > 1e-3);
    char text[256];
    ASSERT_EQ(1, ot_device_warning(&d, 0.08, text, sizeof text));
    ASSERT_STR_EQ("device r1: at sigma 0.08 1.78e+03 in a million beyond +-0.25, where f is held constant", text);
    ASSERT_EQ(0, ot_device_warning(&d, 0.048, text, sizeof text));
    ASSERT_STR_EQ("", text);
    OK(ot_device_open(&d, "r2"));
    ASSERT_EQ(1, ot_device_warning(&d, 0.048, text, sizeof text));
    ASSERT_STR_EQ("device r2: at sigma 0.048 577 cells in a million lie below delta = -0.156, where writing fails", text);
    PASS();
}

TEST a_failed_allocation_leaks_nothing(void)
{
    char path[400];
    ot_device d;
    snprintf(path, sizeof path, "%s/oom.json", check_scratch());
    OK(ot_device_open(&d, "r1"));
    OK(ot_device_save(&d, path));
    size_t live = ot_memory_now().live, calls = ot_memory_now().calls;
    OK(ot_device_open(&d, path));
    calls = ot_memory_now().calls - calls;
    ASSERT(calls >= 1);
    for (size_t n = 1; n <= calls; n++) {
        ot_memory_fail_at(n);
        FAILS(OT_E_NOMEM, "no memory", ot_device_open(&d, path));
        ASSERT_EQ(live, ot_memory_now().live);
    }
    ot_memory_fail_at(0);
    PASS();
}

SUITE(test_device)
{
    RUN_TEST(presets_open_and_are_sound);
    RUN_TEST(r1_gives_the_golden_f);
    RUN_TEST(a_saved_device_reads_back_to_the_bit);
    RUN_TEST(what_a_file_leaves_out_follows_from_the_rest);
    RUN_TEST(a_bad_json_file_is_one_clear_sentence);
    RUN_TEST(a_device_that_cannot_be_is_refused);
    RUN_TEST(a_table_gives_back_its_mean_and_sigma);
    RUN_TEST(a_bad_table_is_one_clear_sentence);
    RUN_TEST(the_tail_is_counted);
    RUN_TEST(a_failed_allocation_leaks_nothing);
}
