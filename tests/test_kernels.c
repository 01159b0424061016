/* test_kernels.c - the shared headers of kernels/: tunable ReLU and Adam.  (Random numbers: test_random.c.) */
#include "check.h"
#include "kernels/adam.h"
#include "kernels/trelu.h"

TEST trelu_does_what_its_formula_says(void)
{
    ASSERT_EQ(0.0f, ot_trelu(-1, 1, 0, INFINITY));
    ASSERT_EQ(2.0f, ot_trelu(2, 1, 0, INFINITY));
    ASSERT_EQ(3.0f, ot_trelu(2, 2, 0.5f, INFINITY));
    ASSERT_EQ(0.0f, ot_trelu(0.5f, 2, 0.5f, INFINITY));
    ASSERT_EQ(6.0f, ot_trelu(100, 1, 0, 6));
    ASSERT_EQ(INFINITY, ot_trelu(INFINITY, 1, 0, INFINITY));
    PASS();
}

TEST trelu_lets_nan_through(void)
{
    ASSERT(isnan(ot_trelu(NAN, 1, 0, INFINITY)));
    ASSERT(isnan(ot_trelu(NAN, 1, 0, 6)));
    ASSERT(isnan(ot_trelu_mask(NAN, 1, 6)));
    PASS();
}

/* Derivatives by central differences, away from the kinks: error O(h^2) = 1e-6 of a piecewise bilinear function is rounding only. */
TEST trelu_gradients_follow_differences(void)
{
    check_rng r = {7};
    for (int i = 0; i < 1000; i++) {
        float x = (float)check_normal(&r) * 4, a = 0.5f + (float)check_uniform(&r), b = (float)check_normal(&r), clip = i % 2 ? 6 : INFINITY;
        float u = ot_trelu(x, a, b, clip), h = 1.0f / 256;
        double v = ((double)x - b) * a;
        if (fabs(v) < 0.05 || fabs(v - clip) < 0.05) continue;
        float g = ot_trelu_mask(1, u, clip);
        double da = ((double)ot_trelu(x, a + h, b, clip) - ot_trelu(x, a - h, b, clip)) / (2 * h);
        double db = ((double)ot_trelu(x, a, b + h, clip) - ot_trelu(x, a, b - h, clip)) / (2 * h);
        double dx = ((double)ot_trelu(x + h, a, b, clip) - ot_trelu(x - h, a, b, clip)) / (2 * h);
        double tol = 256 * 16 * 1.2e-7;                     /* rounding of values up to 16, divided by h */
        ASSERT_IN_RANGE(da, (double)(g * u / a), tol);
        ASSERT_IN_RANGE(db, (double)(-a * g), tol);
        ASSERT_IN_RANGE(dx, (double)(a * g), tol);
    }
    PASS();
}

/* m = v-hat's root on the first step, so the step is lr whatever the gradient's size; then by hand to t = 3. */
TEST adam_follows_its_definition(void)
{
    ot_adam s = {0};
    ot_adam_power t = {1, 1};
    double g[3] = {3, -0.5, 1e-3}, p = 1, want = 1, m = 0, v = 0;
    for (int i = 0; i < 3; i++) {
        ot_adam_advance(&t);
        p = ot_adam_step(p, g[i], 0.01, &s, t);
        m = 0.9 * m + 0.1 * g[i];
        v = 0.999 * v + 0.001 * g[i] * g[i];
        want -= 0.01 * (m / (1 - pow(0.9, i + 1))) / (sqrt(v / (1 - pow(0.999, i + 1))) + 1e-8);
        ASSERT_IN_RANGE(want, p, 1e-15);                    /* a few roundings of numbers near 1 */
        if (i == 0) ASSERT_IN_RANGE(0.99, p, 1e-10);        /* eps / |g| = 3e-9 of lr */
    }
    PASS();
}

TEST gains_are_held_at_one_64th(void)
{
    int n = 0;
    ASSERT_EQ(0.015625, ot_adam_project_gain(-3, &n));
    ASSERT_EQ(1, n);
    ASSERT_EQ(0.015625, ot_adam_project_gain(0.015625, &n));
    ASSERT_EQ(0.5, ot_adam_project_gain(0.5, &n));
    ASSERT_EQ(1, n);
    ASSERT(isnan(ot_adam_project_gain(NAN, &n)));           /* stays visible: the tuner restores the best knobs */
    PASS();
}

SUITE(test_kernels)
{
    RUN_TEST(trelu_does_what_its_formula_says);
    RUN_TEST(trelu_lets_nan_through);
    RUN_TEST(trelu_gradients_follow_differences);
    RUN_TEST(adam_follows_its_definition);
    RUN_TEST(gains_are_held_at_one_64th);
}
