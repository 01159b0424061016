/* recommend.c - which candidate is best, by successive halving over the chips (trial.h).
 *
 *     rung 0     all candidates       on `first` chips
 *     rung 1     the better half      on twice as many
 *     ...
 *     the last   those left           on all chips
 *
 * What is doubled is the number of chips, not that of iterations: every trial runs the whole budget, so a policy is judged on the run it
 * is meant for (half a cosine is another policy), and what the first chips said is used again on every rung.  All candidates are tried
 * on the same chips, so their differences are the candidates'. */
#include "tune/lab.h"
#include "base/fail.h"

#include <math.h>
#include <stdlib.h>

/* 1 if a is better than b.  More chips first: who came further. */
static int better(const ot_score *s, int a, int b)
{
    if (s[a].chips != s[b].chips) return s[a].chips > s[b].chips;
    if ((s[a].to_target >= 0) != (s[b].to_target >= 0)) return s[a].to_target >= 0;
    if (s[a].to_target != s[b].to_target) return s[a].to_target < s[b].to_target;
    if (s[a].after != s[b].after) return s[a].after > s[b].after;
    return a < b;
}

/* Best first; by insertion, as candidates are few. */
static void sort(int *order, const ot_score *s, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && better(s, order[k], order[k - 1]); k--) {
            int t = order[k];
            order[k] = order[k - 1], order[k - 1] = t;
        }
}

/* Candidate 0 among the first `keep` of them. */
static void keep_first(int *order, int n, int keep)
{
    int at = 0;
    while (at < n && order[at]) at++;
    for (; at >= keep && at > 0; at--) order[at] = order[at - 1], order[at - 1] = 0;
}

ot_status ot_recommend(ot_score *out, int *order, ot_lab *lab, const ot_candidate *c, int n, int first, int chips, double target)
{
    ot_status st = OT_OK;
    if (!(n >= 1 && n <= 100000)) OT_FAIL(OT_E_RANGE, "%d candidates, want 1..100000", n);
    if (!(first >= 1 && first <= chips)) OT_FAIL(OT_E_RANGE, "first = %d chips, want 1..%d", first, chips);
    ot_candidate *some = ot_alloc((size_t)n, sizeof *some);
    ot_score     *score = ot_alloc((size_t)n, sizeof *score);
    if (!some || !score) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d candidates", n);
    for (int i = 0; i < n; i++) order[i] = i;
    for (int alive = n, on = first;;) {
        for (int i = 0; i < alive; i++) some[i] = c[order[i]];
        OT_TRY_TO(done, st, ot_trials_run(score, lab, some, alive, on, target));
        for (int i = 0; i < alive; i++) {
            score[i].fresh += on > first ? out[order[i]].fresh : 0;
            out[order[i]] = score[i];
        }
        sort(order, out, n);
        if (on == chips) break;
        alive = (alive + 1) / 2;
        if (alive < 2 && n > 1) alive = 2;
        keep_first(order, n, alive);
        on = 2 * on < chips ? 2 * on : chips;
    }
done:
    ot_free(score);
    ot_free(some);
    return st;
}

ot_status ot_trials_compare(double *mean, double *error, const ot_lab *lab, const ot_candidate *a, const ot_candidate *b, int chips)
{
    char   text[2][OT__CANDIDATE_TEXT];
    double sum = 0, squares = 0;
    ot__candidate_text(text[0], lab, a);
    ot__candidate_text(text[1], lab, b);
    for (int k = 0; k < chips; k++) {
        const uint32_t   chip = lab->task.first_chip + (uint32_t)k;
        const ot__trial *t = ot__lab_find(lab, text[0], chip), *u = ot__lab_find(lab, text[1], chip);
        if (!t || !u) OT_FAIL(OT_E_RANGE, "%s was not tried on chip %u, want ot_trials_run before", text[t != NULL], chip);
        const double d = (double)(t->right[lab->points - 1] - u->right[lab->points - 1]);       /* whole numbers: exact */
        sum += d;
        squares += d * d;
    }
    *mean = sum / chips / lab->task.judge->n;
    *error = chips > 1 ? sqrt(fmax(0, squares - sum * sum / chips) / (chips - 1) / chips) / lab->task.judge->n : NAN;
    return OT_OK;
}
