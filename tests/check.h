/* check.h - what our tests add to greatest: NaN-safe tensor comparison, poison, guard words, where shared data lies. */
#ifndef OT_TESTS_CHECK_H
#define OT_TESTS_CHECK_H

#include "greatest.h"
#include "ohmtrim.h"

#include <stdint.h>

/* Both fail on NaN in either, and print the first index, both values and the count.  |want - got| <= tol for each element. */
int check_close_f32(const float *want, const float *got, size_t n, double tol, const char *what);
int check_close_f64(const double *want, const double *got, size_t n, double tol, const char *what);
#define CHECK_CLOSE(WANT, GOT, N, TOL) ASSERTm(#GOT " is close to " #WANT, check_close_f32((WANT), (GOT), (N), (TOL), #GOT))
#define CHECK_CLOSE64(WANT, GOT, N, TOL) ASSERTm(#GOT " is close to " #WANT, check_close_f64((WANT), (GOT), (N), (TOL), #GOT))
/* The largest |a| of an array: for relative tolerances. */
double check_max_f32(const float *a, size_t n);
double check_max_f64(const double *a, size_t n);

/* Unwritten output is NaN, and NaN is red. */
void check_poison(float *p, size_t n);

/* A call that must succeed / must fail with this status and name `words` in its sentence. */
#define OK(CALL)                                                                                  \
    do {                                                                                          \
        ot_status s_ = (CALL);                                                                    \
        if (s_ != OT_OK) printf("\n%s: %s: %s\n", #CALL, ot_status_name(s_), ot_last_error());    \
        ASSERTm(#CALL " succeeds", s_ == OT_OK);                                                  \
    } while (0)
int check_status(ot_status want, ot_status got, const char *words, const char *call);
#define FAILS(STATUS, WORDS, CALL) ASSERTm(#CALL " fails as it should", check_status((STATUS), (CALL), (WORDS), #CALL))

/* tests/golden/PATH of the source tree ($OHMTRIM_TESTS or the folder the tests were built in); a static buffer. */
const char *check_golden(const char *path);
/* $OHMTRIM_SHARED/PATH or ../shared/PATH if it is there, else NULL (skip the test); a static buffer. */
const char *check_shared(const char *path);
/* An array of a golden case as doubles, freed by the caller with ot_array_free; all of it or NULL. */
int check_load(ot_array *out, const char *golden_path);
/* A fresh scratch folder for this process, removed at exit. */
const char *check_scratch(void);

/* A repeatable stream of numbers for tests. */
typedef struct check_rng { uint64_t s; } check_rng;
double check_uniform(check_rng *r);                       /* [0, 1) */
double check_normal(check_rng *r);
void   check_fill_normal(check_rng *r, float *p, size_t n, double sd);

#endif
