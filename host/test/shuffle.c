/* shuffle.c - Fisher-Yates on Philox words: swap k of the n - 1 swaps uses word k of the stream (seed; block, which, turn, shuffle).  A
 * place below m is word * m >> 32: off an even chance by less than m / 2^32. */
#include "test/shuffle.h"
#include "kernels/philox.h"

void ot__shuffle(uint32_t *item, uint32_t n, uint64_t seed, uint32_t which, uint32_t turn)
{
    uint32_t word[4];
    for (uint32_t left = n, k = 0; left > 1; left--, k++) {
        if (k % 4 == 0) ot_philox(&word[0], &word[1], &word[2], &word[3], seed, k / 4, which, turn, OT_PURPOSE_SHUFFLE);
        uint32_t to = (uint32_t)((uint64_t)word[k % 4] * left >> 32), t = item[to];
        item[to] = item[left - 1];
        item[left - 1] = t;
    }
}
