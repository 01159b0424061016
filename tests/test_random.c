/* test_random.c - kernels/: Philox words, normals, the fused multiply-add built from doubles. */
#include "check.h"
#include "kernels/draw.h"

TEST philox_gives_the_known_answers(void)
{
    ot_array rounds, counter, key, output, uniform;
    ASSERT(check_load(&rounds, "chipstat/philox/rounds.npy") && check_load(&counter, "chipstat/philox/counter.npy"));
    ASSERT(check_load(&key, "chipstat/philox/key.npy") && check_load(&output, "chipstat/philox/output.npy"));
    ASSERT(check_load(&uniform, "chipstat/philox/uniform.npy"));
    const double *r = rounds.data, *c = counter.data, *k = key.data, *want = output.data, *u = uniform.data;
    int64_t n = ot_array_count(&rounds), sevens = 0;
    ASSERT_GTE(n, 100);
    for (int64_t i = 0; i < n; i++) {
        uint32_t x[4];
        for (int j = 0; j < 4; j++) x[j] = (uint32_t)c[4 * i + j];
        ot_philox_rounds((int)r[i], &x[0], &x[1], &x[2], &x[3], (uint32_t)k[2 * i], (uint32_t)k[2 * i + 1]);
        sevens += r[i] == 7;
        for (int j = 0; j < 4; j++) {
            ASSERT_EQ((uint32_t)want[4 * i + j], x[j]);
            ASSERT_EQ(u[4 * i + j], (x[j] + 0.5) * 0x1p-32);
        }
    }
    ASSERT_EQ(1, sevens);
    ot_array *all[] = {&rounds, &counter, &key, &output, &uniform};
    for (int i = 0; i < 5; i++) ot_array_free(all[i]);
    PASS();
}

/* Which word carries what is part of every stored result: seed low and high to the key, then group, layer, chip, purpose. */
TEST counter_words_are_group_layer_chip_purpose(void)
{
    uint32_t a[4], b[4] = {11, 22, 33, 5};
    ot_philox(&a[0], &a[1], &a[2], &a[3], 0x0123456789abcdefu, 11, 22, 33, OT_PURPOSE_SHUFFLE);
    ot_philox_rounds(10, &b[0], &b[1], &b[2], &b[3], 0x89abcdefu, 0x01234567u);
    ASSERT_MEM_EQ(b, a, sizeof a);
    PASS();
}

/* Words whose logarithm or angle is at an edge: the ends, near u = 1, near each eighth of a turn. */
static uint32_t edge_word(int i)
{
    static const uint32_t at[] = {0, 0x20000000u, 0x40000000u, 0x60000000u, 0x80000000u, 0xa0000000u, 0xc0000000u, 0xe0000000u, 0xb504f333u};
    return at[i / 9 % 9] + (uint32_t)(i % 9) - 4;
}

TEST normals_follow_box_muller(void)
{
    uint32_t s = 12345;
    for (int i = 0; i < 200000; i++) {
        uint32_t x = s * 2654435761u, y = (s = s * 1664525u + 1013904223u);
        if (i < 6561) x = edge_word(i % 81), y = edge_word(i / 81);
        float z[2];
        ot_normal_pair(&z[0], &z[1], x, y);
        double u = (x + 0.5) * 0x1p-32, v = (y + 0.5) * 0x1p-32, r = sqrt(-2 * log(u));
        /* u and v are rounded to float: r moves by up to 2^-25 / r (near u = 1), at most by 2^-12.5; then a few ulp of the result */
        double tol = 6 * 6e-8 * (r + 1) + fmin(0x1p-24 / (r + 1e-30), 0x1p-12);
        ASSERT_IN_RANGE(r * cos(2 * M_PI * v), (double)z[0], tol);
        ASSERT_IN_RANGE(r * sin(2 * M_PI * v), (double)z[1], tol);
        ASSERT(fabsf(z[0]) <= OT_NORMAL_MAX && fabsf(z[1]) <= OT_NORMAL_MAX);
    }
    PASS();
}

/* 4 million normals: mean, variance, third and fourth moment and the covariance of a pair within 5 standard errors (1/n, 2/n,
 * 15/n, 96/n, 1/n are their variances). */
TEST normals_have_the_moments_of_normals(void)
{
    enum { N = 1000000 };
    ot_draw_key key = {.seed = 99, .layer = 1, .chip = 2};
    double m[5] = {0}, both = 0;
    for (uint32_t g = 0; g < N; g++) {
        uint32_t x[4];
        float z[4];
        ot_philox(&x[0], &x[1], &x[2], &x[3], key.seed, g, key.layer, key.chip, OT_PURPOSE_CELLS);
        ot_normal_pair(&z[0], &z[1], x[0], x[1]);
        ot_normal_pair(&z[2], &z[3], x[2], x[3]);
        for (int k = 0; k < 4; k++) {
            double p = 1;
            for (int j = 0; j < 5; j++, p *= z[k]) m[j] += p;
        }
        both += (double)z[0] * z[1] + (double)z[2] * z[3];
    }
    double n = m[0];
    ASSERT_IN_RANGE(0, m[1] / n, 5 * sqrt(1 / n));
    ASSERT_IN_RANGE(1, m[2] / n, 5 * sqrt(2 / n));
    ASSERT_IN_RANGE(0, m[3] / n, 5 * sqrt(15 / n));
    ASSERT_IN_RANGE(3, m[4] / n, 5 * sqrt(96 / n));
    ASSERT_IN_RANGE(0, both / (n / 2), 5 * sqrt(2 / n));
    PASS();
}

TEST the_normal_of_a_cell_is_its_word_of_its_group(void)
{
    ot_draw_key key = {.seed = 7, .layer = 3, .chip = 17};
    for (uint64_t n = 0; n < 40; n++) {
        uint32_t x[4];
        float z[4];
        ot_philox(&x[0], &x[1], &x[2], &x[3], 7, (uint32_t)(n / 4), 3, 17, OT_PURPOSE_CELLS);
        ot_normal_pair(&z[0], &z[1], x[0], x[1]);
        ot_normal_pair(&z[2], &z[3], x[2], x[3]);
        ASSERT_EQ(z[n % 4], ot_cell_normal(key, n));
    }
    PASS();
}

/* Against the C library's fmaf, which is exact by its standard: random bits of all exponents a drawing meets and beyond, products
 * that all but cancel, and halves that a second rounding would turn. */
TEST fma_by_doubles_is_fma(void)
{
    check_rng r = {3};
    for (int i = 0; i < 400000; i++) {
        float a = (float)ldexp(check_uniform(&r) - 0.5, (int)(check_uniform(&r) * 80) - 40);
        float b = (float)ldexp(check_uniform(&r) - 0.5, (int)(check_uniform(&r) * 80) - 40);
        float c = (float)ldexp(check_uniform(&r) - 0.5, (int)(check_uniform(&r) * 80) - 40);
        if (i % 4 == 1) c = -a * b;                                        /* leaves the product's rounding error */
        if (i % 4 == 2) {                                                  /* within 2^-60 of half way between two floats, on either side */
            float k = (float)(i / 4 % 9 - 4) * 0x1p-23f;
            a = 1 + k, b = (1 - k) * (i & 8 ? 0x1p-24f : -0x1p-24f), c = (1 + (float)(i / 64 % 16) * 0x1p-23f) * (i & 16 ? 1.0f : -1.0f);
        }
        if (i % 4 == 3) a *= 0x1p-90f, c *= 0x1p-100f;                     /* results below the normal range */
        float want = fmaf(a, b, c), got = ot_fma_by_doubles(a, b, c), used = ot_fma(a, b, c);
        ASSERT_EQ(ot_float_bits(want), ot_float_bits(got));
        ASSERT_EQ(ot_float_bits(want), ot_float_bits(used));
    }
    PASS();
}

SUITE(test_random)
{
    RUN_TEST(philox_gives_the_known_answers);
    RUN_TEST(counter_words_are_group_layer_chip_purpose);
    RUN_TEST(normals_follow_box_muller);
    RUN_TEST(normals_have_the_moments_of_normals);
    RUN_TEST(the_normal_of_a_cell_is_its_word_of_its_group);
    RUN_TEST(fma_by_doubles_is_fma);
}
