/* main.c - the one runner: every suite of tests/test_*.c, listed by the Makefile in suites.inc. */
#include "greatest.h"

#define X(name) SUITE_EXTERN(test_##name);
#include "suites.inc"
#undef X

GREATEST_MAIN_DEFS();

int main(int argc, char **argv)
{
    GREATEST_MAIN_BEGIN();
#define X(name) RUN_SUITE(test_##name);
#include "suites.inc"
#undef X
    GREATEST_PRINT_REPORT();
    struct greatest_report_t r;
    greatest_get_report(&r);
    if (r.passed + r.failed + r.skipped == 0) {
        printf("no test matched\n");
        return 1;
    }
    printf("%u passed, %u failed, %u skipped\n", r.passed, r.failed, r.skipped);
    return r.failed != 0;
}
