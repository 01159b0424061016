/* greatest.h - the part of greatest's interface that our tests use, written anew and stricter (DESIGN 4.13).
 *
 * A test is `TEST name_is_a_sentence(void) { ...; PASS(); }`, a suite `SUITE(x) { RUN_TEST(...); }`, run by one main.  Stricter than
 * the real one: ranges fail on NaN, a filter that matches no test is a failure.  `make check GREATEST=DIR` builds the same tests
 * with the real header instead. */
#ifndef GREATEST_H
#define GREATEST_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum greatest_test_res { GREATEST_TEST_RES_PASS = 0, GREATEST_TEST_RES_FAIL = -1, GREATEST_TEST_RES_SKIP = 1 } greatest_test_res;

struct greatest_report_t { unsigned passed, failed, skipped, assertions; };

struct greatest_state {
    struct greatest_report_t report;
    const char *suite_filter, *test_filter, *suite, *msg, *file;
    unsigned line;
    int verbose, list, stop_first;
    char suffix[128];
};
extern struct greatest_state greatest_info;

#define GREATEST_MAIN_DEFS() struct greatest_state greatest_info
#define TEST static enum greatest_test_res
#define SUITE(NAME) void NAME(void); void NAME(void)
#define SUITE_EXTERN(NAME) void NAME(void)

#define GREATEST_END_(RES, MSG) \
    do { greatest_info.msg = (MSG); greatest_info.file = __FILE__; greatest_info.line = __LINE__; return (RES); } while (0)
#define PASS() GREATEST_END_(GREATEST_TEST_RES_PASS, NULL)
#define FAILm(MSG) GREATEST_END_(GREATEST_TEST_RES_FAIL, MSG)
#define FAIL() FAILm(NULL)
#define SKIPm(MSG) GREATEST_END_(GREATEST_TEST_RES_SKIP, MSG)
#define SKIP() SKIPm(NULL)
#define CHECK_CALL(CALL) \
    do { enum greatest_test_res r_ = (CALL); if (r_ != GREATEST_TEST_RES_PASS) return r_; } while (0)

#define ASSERTm(MSG, COND) do { greatest_info.report.assertions++; if (!(COND)) FAILm(MSG); } while (0)
#define ASSERT(COND) ASSERTm(#COND, COND)
#define ASSERT_FALSE(COND) ASSERTm("not: " #COND, !(COND))
#define ASSERT_EQm(MSG, EXP, GOT) ASSERTm(MSG, (EXP) == (GOT))
#define ASSERT_EQ(EXP, GOT) ASSERT_EQm(#EXP " == " #GOT, EXP, GOT)
#define ASSERT_NEQ(EXP, GOT) ASSERTm(#EXP " != " #GOT, (EXP) != (GOT))
#define ASSERT_GT(A, B) ASSERTm(#A " > " #B, (A) > (B))
#define ASSERT_GTE(A, B) ASSERTm(#A " >= " #B, (A) >= (B))
#define ASSERT_LT(A, B) ASSERTm(#A " < " #B, (A) < (B))
#define ASSERT_LTE(A, B) ASSERTm(#A " <= " #B, (A) <= (B))
#define ASSERT_EQ_FMT(EXP, GOT, FMT)                                                    \
    do {                                                                                \
        greatest_info.report.assertions++;                                              \
        if ((EXP) != (GOT)) {                                                           \
            printf("\nExpected: " FMT "\n     Got: " FMT "\n", (EXP), (GOT));            \
            FAILm(#EXP " == " #GOT);                                                    \
        }                                                                               \
    } while (0)
#define ASSERT_IN_RANGE(EXP, GOT, TOL)                                                  \
    do {                                                                                \
        double e_ = (EXP), g_ = (GOT), t_ = (TOL);                                      \
        greatest_info.report.assertions++;                                              \
        if (!(fabs(e_ - g_) <= t_)) { /* NaN in any of the three lands here */          \
            printf("\nExpected: %.17g +- %g\n     Got: %.17g\n", e_, t_, g_);           \
            FAILm(#EXP " ~ " #GOT);                                                     \
        }                                                                               \
    } while (0)
#define ASSERT_STR_EQ(EXP, GOT)                                                         \
    do {                                                                                \
        const char *e_ = (EXP), *g_ = (GOT);                                            \
        greatest_info.report.assertions++;                                              \
        if (!e_ || !g_ || strcmp(e_, g_)) {                                             \
            printf("\nExpected: %s\n     Got: %s\n", e_ ? e_ : "NULL", g_ ? g_ : "NULL"); \
            FAILm(#EXP " equals " #GOT);                                                \
        }                                                                               \
    } while (0)
#define ASSERT_MEM_EQ(EXP, GOT, N) ASSERTm("memory " #EXP " equals " #GOT, !memcmp((EXP), (GOT), (N)))

static inline int greatest_start_(const char *name)
{
    char full[384];
    snprintf(full, sizeof full, "%s%s%s", name, greatest_info.suffix[0] ? "_" : "", greatest_info.suffix);
    if (greatest_info.test_filter && !strstr(full, greatest_info.test_filter)) return 0;
    if (greatest_info.list) { printf("  %s\n", full); greatest_info.report.passed++; return 0; }
    return 1;
}
static inline void greatest_done_(const char *name, greatest_test_res res)
{
    const char *sep = greatest_info.suffix[0] ? "_" : "";
    const char *msg = greatest_info.msg ? greatest_info.msg : "";
    if (res == GREATEST_TEST_RES_PASS) {
        greatest_info.report.passed++;
        if (greatest_info.verbose) printf("PASS %s%s%s\n", name, sep, greatest_info.suffix);
    } else if (res == GREATEST_TEST_RES_SKIP) {
        greatest_info.report.skipped++;
        printf("SKIP %s.%s%s%s: %s\n", greatest_info.suite, name, sep, greatest_info.suffix, msg);
    } else {
        greatest_info.report.failed++;
        printf("FAIL %s.%s%s%s: %s (%s:%u)\n", greatest_info.suite, name, sep, greatest_info.suffix, msg, greatest_info.file,
               greatest_info.line);
        if (greatest_info.stop_first) exit(1);
    }
    greatest_info.suffix[0] = 0;
    fflush(stdout);
}
#define RUN_TEST(T) do { if (greatest_start_(#T)) greatest_done_(#T, T()); else greatest_info.suffix[0] = 0; } while (0)
#define RUN_TEST1(T, ENV) do { if (greatest_start_(#T)) greatest_done_(#T, T(ENV)); else greatest_info.suffix[0] = 0; } while (0)
#define RUN_TESTp(T, ...) do { if (greatest_start_(#T)) greatest_done_(#T, T(__VA_ARGS__)); else greatest_info.suffix[0] = 0; } while (0)
static inline void greatest_set_test_suffix(const char *s) { snprintf(greatest_info.suffix, sizeof greatest_info.suffix, "%s", s); }

static inline int greatest_suite_start_(const char *name)
{
    greatest_info.suite = name;
    if (greatest_info.suite_filter && !strstr(name, greatest_info.suite_filter)) return 0;
    printf("* %s\n", name);
    fflush(stdout);
    return 1;
}
#define RUN_SUITE(S) do { if (greatest_suite_start_(#S)) S(); } while (0)
static inline void greatest_get_report(struct greatest_report_t *r) { *r = greatest_info.report; }

#define GREATEST_MAIN_BEGIN()                                                           \
    do {                                                                                \
        for (int i_ = 1; i_ < argc; i_++) {                                             \
            if (!strcmp(argv[i_], "-s") && i_ + 1 < argc) greatest_info.suite_filter = argv[++i_]; \
            else if (!strcmp(argv[i_], "-t") && i_ + 1 < argc) greatest_info.test_filter = argv[++i_]; \
            else if (!strcmp(argv[i_], "-v")) greatest_info.verbose = 1;                \
            else if (!strcmp(argv[i_], "-l")) greatest_info.list = 1;                   \
            else if (!strcmp(argv[i_], "-f")) greatest_info.stop_first = 1;             \
            else { printf("usage: %s [-s SUITE] [-t TEST] [-v] [-l] [-f]\n", argv[0]); return 2; } \
        }                                                                               \
    } while (0)
#define GREATEST_PRINT_REPORT() ((void)0)
#endif
