/* sums.h - long sums in eight lanes: number i goes to lane i % 8, and the lanes are added in a fixed order at the end.
 *
 * One running sum waits for each addition before the next (a 1170-feature distance took 1 ms so); eight do not, and the compiler makes
 * vectors of them without being allowed to change any sum.  The bits are the same on every machine. */
#ifndef OT_FLOOR_SUMS_H
#define OT_FLOOR_SUMS_H

#include <math.h>
#include <stdint.h>

enum { OT_LANES = 8 };

#define OT_SUM(OUT, N, TERM)                                                                        \
    do {                                                                                            \
        double lane_[OT_LANES] = {0};                                                               \
        int    at_ = 0;                                                                             \
        for (; at_ + OT_LANES <= (N); at_ += OT_LANES)                                              \
            for (int j_ = 0; j_ < OT_LANES; j_++) {                                                 \
                int k = at_ + j_;                                                                   \
                lane_[j_] += (TERM);                                                                \
            }                                                                                       \
        for (int k = at_; k < (N); k++) lane_[k - at_] += (TERM);                                   \
        OUT = ((lane_[0] + lane_[1]) + (lane_[2] + lane_[3])) + ((lane_[4] + lane_[5]) + (lane_[6] + lane_[7])); \
    } while (0)

static inline double ot__dot(const double *a, const double *b, int n)
{
    double sum;
    OT_SUM(sum, n, a[k] * b[k]);
    return sum;
}

#endif
