/* book.c - everything a recipe needs, learned from measured chips: a judge for chips as manufactured, one for chips with knobs set, the
 * rule's guard bands, and what the mender looks in. */
#include "ohmtrim/learn.h"

#include "base/fail.h"
#include "tune/casebook.h"

#include <math.h>
#include <string.h>

ot_book_options ot_book_defaults(void)
{
    return (ot_book_options){.learn = ot_learn_defaults(), .rule = OT_RULE_000, .cutoff = NAN, .k = 2, .escape = 0.01, .mender = OT_MENDER_LEARNED,
                             .knn = OT_CASEBOOK_KNN};
}

void ot_book_free(ot_book *b)
{
    if (!b) return;
    ot_free(b->moments);
    ot_casebook_free(b->casebook);
    ot_learned_free(b->after);
    ot_learned_free(b->before);
    ot_free(b);
}

static ot_status check(const ot_chips *u, const ot_chips *t, const ot_book_options *o)
{
    if (!(o->cutoff >= 0 && o->cutoff <= 1)) OT_FAIL(OT_E_RANGE, "cutoff = %g, want 0..1 (an accuracy)", o->cutoff);
    if (t && t->n > 0 && t->s != u->s) OT_FAIL(OT_E_SHAPE, "signatures of tuned chips have %d numbers, of untuned ones %d", t->s, u->s);
    int same = u->n > 0;
    for (int i = 1; i < u->n; i++) same &= u->accuracy[i] == u->accuracy[0];
    if (same) OT_FAIL(OT_E_DATA, "all %d chips have the accuracy %g: there is nothing to predict", u->n, u->accuracy[0]);
    if (o->knobs != OT_KNOBS_GAIN_OFFSET && !ot_ladder_fits(&o->ladder))
        OT_FAIL(OT_E_RANGE, "ladder of %d bits from %g to %g, want 0..16 bits and levels that rise, 1/64..64", o->ladder.bits, o->ladder.low, o->ladder.high);
    const int needs = o->mender != OT_MENDER_MOMENTS && o->mender != OT_MENDER_NONE;
    if (needs && u->n > 0 && (u->n_knobs < 1 || !u->gain || !u->offset || u->l < 1))
        OT_FAIL(OT_E_DATA, "no knobs of tuned chips were given, so the casebook is empty; the mender %s wants them", ot_mender_name(o->mender));
    if (o->mender == OT_MENDER_MOMENTS && (!o->ideal || u->l < 1 || u->s <= 2 * u->l)) OT_FAIL(OT_E_DATA, "the mender moments wants signatures that end in moments, and the ideal network's");
    return OT_OK;
}

/* The teachers and then the tuned chips, of which errors and guard bands are. */
static ot_status learn_after(ot_learned **out, const ot_chips *teachers, const ot_chips *tuned, const ot_learn_options *o)
{
    ot_chips         all, parts[2] = {*teachers, *tuned};
    ot_learn_options own = *o;
    parts[0].n_knobs = parts[1].n_knobs = 0;                         /* rows with knobs would come first */
    OT_TRY(ot_chips_join(&all, parts, 2));
    own.first = teachers->n;
    own.chip = all.chip;
    ot_status st = ot_judge_learn(out, all.signature, all.accuracy, all.n, all.s, &own);
    ot_chips_free(&all);
    return st;
}

static ot_status rules(ot_book *b, const ot_book_options *o)
{
    b->rule = (ot_rule){.kind = o->rule, .cutoff = o->cutoff, .k = o->k, .escape = o->escape};
    OT_TRY(ot_rule_guard(&b->rule.guard, b->before, o->rule, o->cutoff, o->k, o->escape));
    b->rule.guard_after = b->rule.guard;
    return b->after ? ot_rule_guard(&b->rule.guard_after, b->after, o->rule, o->cutoff, o->k, o->escape) : OT_OK;
}

/* Means and spreads stand last in a signature. */
static ot_status moments(ot_book *b, const ot_chips *u, const float *ideal)
{
    const size_t L = (size_t)u->l;
    double      *target = ot_alloc(L, 2 * sizeof *target + 2 * sizeof(int32_t));
    if (!target) OT_NOMEM("moments", L * 24);
    int32_t *at = (int32_t *)(void *)(target + 2 * L);
    for (size_t i = 0; i < 2 * L; i++) target[i] = (double)ideal[i], at[i] = (int32_t)((size_t)u->s - 2 * L + i);
    b->moments = target;
    b->mending.moments = (ot_moments){.l = u->l, .knobs = b->mending.knobs, .mean = target, .sd = target + L, .mean_at = at, .sd_at = at + L};
    return OT_OK;
}

static ot_status mending(ot_book *b, const ot_chips *u, const ot_book_options *o)
{
    b->mending = (ot_mending){.kind = o->mender, .k = o->knn, .knobs = o->knobs, .ladder = o->ladder};
    if (o->mender == OT_MENDER_MOMENTS) OT_TRY(moments(b, u, o->ideal));
    if (u->n_knobs < 1) return OT_OK;
    OT_TRY(ot__casebook_make(&b->casebook, &b->before->judge.features, u->signature, u->gain, u->offset, u->n_knobs, u->s, u->l, o->clusters));
    b->mending.cases = *ot_casebook_cases(b->casebook);
    if (o->mender == OT_MENDER_RIDGE) {
        OT_TRY(ot_casebook_fit_ridge(b->casebook));
        b->mending.ridge = *ot_casebook_ridge(b->casebook);
    }
    return OT_OK;
}

ot_status ot_book_learn(ot_book **out, const ot_chips *untuned, const ot_chips *tuned, const ot_chips *others, const ot_book_options *opt)
{
    ot_status st = OT_OK;
    ot_learn_options first = opt->learn;
    OT_TRY(check(untuned, tuned, opt));
    if (others && others->n > 0) OT_TRY(check(untuned, others, opt));
    ot_book *b = ot_alloc(1, sizeof *b);
    if (!b) OT_NOMEM("a book", sizeof *b);
    first.chip = untuned->chip;
    OT_TRY_TO(done, st, ot_judge_learn(&b->before, untuned->signature, untuned->accuracy, untuned->n, untuned->s, &first));
    if (tuned && tuned->n > 0) OT_TRY_TO(done, st, learn_after(&b->after, others && others->n > 0 ? others : untuned, tuned, &opt->learn));
    OT_TRY_TO(done, st, rules(b, opt));
    st = mending(b, untuned, opt);
done:
    if (st != OT_OK) {
        ot_book_free(b);
        return st;
    }
    *out = b;
    return OT_OK;
}

void ot_book_recipe(ot_recipe *r, const ot_book *b)
{
    r->before = b->before->judge;
    r->has_after = b->after != NULL;
    if (b->after) r->after = b->after->judge;
    r->rule = b->rule;
    r->mending = b->mending;
}
