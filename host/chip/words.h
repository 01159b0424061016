/* words.h - Philox words for OT_LANES groups side by side, for the drawing loop.
 *
 * A round multiplies 32 by 32 bits to 64, which x86 does on 64-bit lanes (vpmuludq), reading only the low half of each.  So a word
 * lives in the low half of a 64-bit lane and what is above it is left to be: no masks, no shuffles, and the high half of a
 * product is one shift away.  gcc 12 does not find that from plain C (it takes vpmullq, three times the work; the whole loop is
 * then a third slower), so this one function is written in intrinsics.  They are integers: the words are ot_philox's. */
#ifndef OT_CHIP_WORDS_H
#define OT_CHIP_WORDS_H

#include "chip/draw.h"

enum { OT_LANES = 32 };

#if defined(__AVX512F__) || defined(__AVX2__)

#include <immintrin.h>

#ifdef __AVX512F__
typedef __m512i wide;
#define WIDE 8
#define wide_set(x) _mm512_set1_epi64((long long)(x))
#define wide_count() _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0)
#define wide_add(a, b) _mm512_add_epi64(a, b)
#define wide_mul(a, b) _mm512_mul_epu32(a, b)
#define wide_high(a) _mm512_srli_epi64(a, 32)
#define wide_xor(a, b, c) _mm512_xor_si512(_mm512_xor_si512(a, b), c)
#define wide_put(p, a) _mm256_storeu_si256((__m256i *)(p), _mm512_cvtepi64_epi32(a))
#else
typedef __m256i wide;
#define WIDE 4
#define wide_set(x) _mm256_set1_epi64x((long long)(x))
#define wide_count() _mm256_set_epi64x(3, 2, 1, 0)
#define wide_add(a, b) _mm256_add_epi64(a, b)
#define wide_mul(a, b) _mm256_mul_epu32(a, b)
#define wide_high(a) _mm256_srli_epi64(a, 32)
#define wide_xor(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define wide_put(p, a) \
    _mm_storeu_si128((__m128i *)(p), _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(a, _mm256_set_epi32(0, 0, 0, 0, 6, 4, 2, 0))))
#endif

/* x[k][i] = word k of group first + i * stride. */
static inline void draw_words(uint32_t x[4][OT_LANES], uint32_t first, uint32_t stride, ot_draw_key key, ot_purpose purpose)
{
    const wide m0 = wide_set(0xD2511F53u), m1 = wide_set(0xCD9E8D57u);
    for (int i = 0; i < OT_LANES; i += WIDE) {
        wide a = wide_add(wide_set(first + (uint32_t)i * stride), wide_mul(wide_count(), wide_set(stride)));
        wide b = wide_set(key.layer), c = wide_set(key.chip), d = wide_set((uint32_t)purpose);
        uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32);
#ifndef __clang__
#pragma GCC unroll 10
#endif
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
            wide p = wide_mul(a, m0), q = wide_mul(c, m1);
            a = wide_xor(wide_high(q), b, wide_set(k0));
            b = q;
            c = wide_xor(wide_high(p), d, wide_set(k1));
            d = p;
        }
        wide_put(&x[0][i], a);
        wide_put(&x[1][i], b);
        wide_put(&x[2][i], c);
        wide_put(&x[3][i], d);
    }
}

#else

static inline void draw_words(uint32_t x[4][OT_LANES], uint32_t first, uint32_t stride, ot_draw_key key, ot_purpose purpose)
{
    for (int i = 0; i < OT_LANES; i++)
        ot_philox(&x[0][i], &x[1][i], &x[2][i], &x[3][i], key.seed, first + (uint32_t)i * stride, key.layer, key.chip, purpose);
}

#endif
#endif
