/* test_base.c - status table, error sentences, counted memory. */
#include "base/fail.h"
#include "check.h"

static ot_status fail_with_a_sentence(void) { OT_FAIL(OT_E_RANGE, "sigma = %g, want 0..0.08", 0.5); }

TEST a_failure_keeps_its_sentence(void)
{
    FAILS(OT_E_RANGE, "sigma = 0.5, want 0..0.08", fail_with_a_sentence());
    ASSERT_EQ(OT_E_RANGE, ot__fail_prefix(OT_E_RANGE, "spec.yaml: "));
    ASSERT_STR_EQ("spec.yaml: sigma = 0.5, want 0..0.08", ot_last_error());
    PASS();
}

TEST every_status_has_a_name_a_text_and_an_exit_code(void)
{
#define X(name, number, exit_code, text)                              \
    ASSERT_STR_EQ("OT_" #name, ot_status_name(OT_##name));            \
    ASSERT_EQ(exit_code, ot_status_exit(OT_##name));                  \
    ASSERT(exit_code >= 0 && exit_code <= 5);                         \
    ASSERT_STR_EQ(text, ot_status_text(OT_##name));
    OT_STATUS_MAP(X)
#undef X
    ASSERT_STR_EQ("?", ot_status_name((ot_status)12345));
    ASSERT_EQ(5, ot_status_exit((ot_status)12345));
    PASS();
}

TEST memory_is_zeroed_aligned_and_counted(void)
{
    ot_memory before = ot_memory_now();
    char *p = ot_alloc(1000, 3);
    ASSERT(p && (uintptr_t)p % 64 == 0);
    for (int i = 0; i < 3000; i++) ASSERT_EQ(0, p[i]);
    ASSERT_EQ(before.live + 1, ot_memory_now().live);
    ASSERT_EQ(before.live_bytes + 3000, ot_memory_now().live_bytes);
    memset(p, 1, 3000);
    p = ot_realloc(p, 1000, 4);
    ASSERT(p && p[2999] == 1 && p[3000] == 0);
    ot_free(p);
    ot_free(NULL);
    ASSERT_EQ(before.live_bytes, ot_memory_now().live_bytes);
    ASSERT_EQ(NULL, ot_alloc(SIZE_MAX / 2, 3));
    PASS();
}

TEST the_nth_allocation_fails_on_request(void)
{
    ot_memory_fail_at(2);
    void *a = ot_alloc(1, 1), *b = ot_alloc(1, 1), *c = ot_alloc(1, 1);
    ASSERT(a && !b && c);
    ot_free(a);
    ot_free(c);
    PASS();
}

TEST comparisons_see_nan(void)
{
    float x[1] = {0}, y[1];
    check_poison(y, 1);
    ASSERT(y[0] != y[0]);
    ASSERT_FALSE(check_close_f32(x, y, 1, 1e9, "a NaN (this line is expected)"));
    ASSERT_FALSE(check_close_f32(x, x, 1, NAN, "a NaN tolerance (this line is expected)"));
    PASS();
}

SUITE(test_base)
{
    RUN_TEST(a_failure_keeps_its_sentence);
    RUN_TEST(every_status_has_a_name_a_text_and_an_exit_code);
    RUN_TEST(memory_is_zeroed_aligned_and_counted);
    RUN_TEST(the_nth_allocation_fails_on_request);
    RUN_TEST(comparisons_see_nan);
}
