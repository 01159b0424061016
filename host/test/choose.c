/* choose.c - how much to bend and how far to go from the sample's matrix: what makes the region of normal rows smallest.
 *
 * Every candidate's threshold lets the same share of good chips through, out of fold.  What it lets through besides is what of all
 * other signatures lies in its region d2(x) <= threshold.  As nothing is known of the anomalies to come, the region with the least volume is
 * the best: they are spread evenly for all we know, and then least of them are missed (minimum volume sets: Polonik 1997; Scott and
 * Nowak 2006).  No anomaly is needed to choose so.
 *
 *     log volume = p / 2 log threshold + log det L - log slope of the bend at the median row          (averages over the folds)
 *
 * First the bend, at a condition number of 1000, then the condition number.  Candidates are fitted with one start; what is kept is fitted anew.
 * Of equals the first wins. */
#include "test/folds.h"
#include "base/fail.h"

#include <math.h>

enum { MOST = 8 };
static const double bends[] = {-1, 3, 1, 0.5, 0.3, 0.2, 0.1}, conditions[] = {1000, 50, 10000}, FIRST = 1000;

/* Runs the trials and gives the one with the least volume. */
static ot_status best_of(int *best, ot__trial *t, int n, const ot__dealt *d)
{
    const size_t a_trial = (size_t)(d->n + d->folds);
    double      *room = ot_alloc((size_t)n * a_trial, sizeof *room), least = INFINITY;
    if (!room) OT_NOMEM("screen", (size_t)n * a_trial * sizeof *room);
    for (int i = 0; i < n; i++) t[i].starts = 1, t[i].distance = room + (size_t)i * a_trial, t[i].log_size = t[i].distance + d->n;
    ot_status st = ot__folds_run(d, t, n, NULL);
    *best = 0;
    for (int i = 0; st == OT_OK && i < n; i++) {
        double volume = ot__trial_volume(&t[i], d);
        if (volume < least) least = volume, *best = i;
    }
    ot_free(room);
    return st;
}

ot_status ot__screen_choose(ot_screen_options *o, const ot__dealt *d)
{
    ot__trial t[MOST];
    int       best = 0;
    if (o->bend == 0) {
        const int n = (int)(sizeof bends / sizeof *bends);
        for (int i = 0; i < n; i++) {
            t[i].o = *o;
            t[i].o.bend = bends[i];
            if (o->condition == 0) t[i].o.condition = FIRST;
        }
        OT_TRY(best_of(&best, t, n, d));
        o->bend = bends[best];
    }
    if (o->condition == 0) {
        const int n = (int)(sizeof conditions / sizeof *conditions);
        for (int i = 0; i < n; i++) t[i].o = *o, t[i].o.condition = conditions[i];
        OT_TRY(best_of(&best, t, n, d));
        o->condition = conditions[best];
    }
    return OT_OK;
}
