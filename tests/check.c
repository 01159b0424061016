/* check.c - see check.h. */
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>

#ifndef OT_TESTS_DIR
#define OT_TESTS_DIR "tests"
#endif

#define CLOSE_BODY(FMT)                                                                                        \
    size_t bad = 0, first = 0;                                                                                 \
    for (size_t i = 0; i < n; i++)                                                                             \
        if (!(fabs((double)want[i] - (double)got[i]) <= tol) && bad++ == 0) first = i;                         \
    if (bad)                                                                                                   \
        printf("\n%s: %zu of %zu differ; first at %zu: want " FMT ", got " FMT ", tolerance %g\n", what, bad, n, first, \
               (double)want[first], (double)got[first], tol);                                                  \
    return bad == 0

int check_close_f32(const float *want, const float *got, size_t n, double tol, const char *what) { CLOSE_BODY("%.9g"); }
int check_close_f64(const double *want, const double *got, size_t n, double tol, const char *what) { CLOSE_BODY("%.17g"); }

double check_max_f32(const float *a, size_t n)
{
    double m = 0;
    for (size_t i = 0; i < n; i++) m = fabs(a[i]) > m ? fabs(a[i]) : m;
    return m;
}

double check_max_f64(const double *a, size_t n)
{
    double m = 0;
    for (size_t i = 0; i < n; i++) m = fabs(a[i]) > m ? fabs(a[i]) : m;
    return m;
}

void check_poison(float *p, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = NAN;
}

int check_status(ot_status want, ot_status got, const char *words, const char *call)
{
    const char *said = ot_last_error();
    int good = got == want && (!words || (got != OT_OK && strstr(said, words)));
    if (!good)
        printf("\n%s\n  wanted %s \"%s\"\n  got    %s \"%s\"\n", call, ot_status_name(want), words ? words : "", ot_status_name(got),
               got == OT_OK ? "" : said);
    return good;
}

const char *check_golden(const char *path)
{
    static char full[1024];
    const char *dir = getenv("OHMTRIM_TESTS");
    snprintf(full, sizeof full, "%s/golden/%s", dir ? dir : OT_TESTS_DIR, path);
    return full;
}

const char *check_shared(const char *path)
{
    static char full[1024];
    const char *dir = getenv("OHMTRIM_SHARED");
    if (dir) {
        snprintf(full, sizeof full, "%s/%s", dir, path);
        return access(full, R_OK) ? NULL : full;
    }
    snprintf(full, sizeof full, "%s/../../shared/%s", OT_TESTS_DIR, path);
    if (!access(full, R_OK)) return full;
    snprintf(full, sizeof full, "../shared/%s", path);
    return access(full, R_OK) ? NULL : full;
}

int check_load(ot_array *out, const char *golden_path)
{
    if (ot_npy_read(out, check_golden(golden_path)) != OT_OK || ot_array_convert(out, OT_F64) != OT_OK) {
        printf("\n%s: %s\n", golden_path, ot_last_error());
        return 0;
    }
    return 1;
}

static char scratch[256];
static pid_t scratch_owner;

static void scratch_remove(void)
{
    char cmd[320];
    if (getpid() != scratch_owner) return;             /* a forked child must not remove its parent's folder */
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", scratch);
    if (system(cmd)) perror(cmd);
}

const char *check_scratch(void)
{
    if (!scratch[0]) {
        const char *tmp = getenv("TMPDIR");
        snprintf(scratch, sizeof scratch, "%s/ohmtrim-test-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(scratch)) { perror(scratch); exit(1); }
        scratch_owner = getpid();
        atexit(scratch_remove);
    }
    return scratch;
}

double check_uniform(check_rng *r)
{
    uint64_t z = (r->s += 0x9e3779b97f4a7c15u);       /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

double check_normal(check_rng *r)
{
    double u = check_uniform(r), v = check_uniform(r);
    return sqrt(-2 * log(1 - u)) * cos(2 * M_PI * v);
}

void check_fill_normal(check_rng *r, float *p, size_t n, double sd)
{
    for (size_t i = 0; i < n; i++) p[i] = (float)(sd * check_normal(r));
}
