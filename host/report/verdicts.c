/* verdicts.c - the predictive test in a report: what each rule makes of the evaluation chips, with judges learned from the casebook. */
#include "report/report.h"

#include "base/fail.h"

static const double drops[] = {0.01, 0.02, 0.03, 0.05, 0.10};
enum { N_DROPS = sizeof drops / sizeof *drops };

static ot_status add_rate(ot_text *t, const ot_rate *r) { return ot__text_add(t, "<td>%.1f <small>(%.1f&ndash;%.1f)</small>", 100 * r->value, 100 * r->low, 100 * r->high); }

static ot_status add_row(ot_text *t, const char *rule, double drop, const ot_verdicts *v)
{
    OT_TRY(ot__text_add(t, "\n<tr><td>%s<td>%.0f<td>%.2f", rule, 100 * drop, 100 * v->guard));
    OT_TRY(add_rate(t, &v->yield));
    OT_TRY(add_rate(t, &v->escape));
    OT_TRY(add_rate(t, &v->overkill));
    return ot__text_add(t, "<td>%.0f<td>%d, %d, %d", v->images, v->first[OT_VERDICT_PASS], v->first[OT_VERDICT_TUNE], v->first[OT_VERDICT_FULL_TEST]);
}

static ot_status add_table(ot_text *t, const ot_campaign_learned *l)
{
    const double ideal = (double)l->evaluate->ideal / (double)l->evaluate->images;
    double       bm, bs, am, as;
    ot_opinions_errors(l->opinions, &bm, &bs, &am, &as);
    OT_TRY(ot__text_add(t, "<p>Accuracy predicted from the answers to %d images: error %+.2f points on average, sd %.2f; with the knobs of <code>%s</code> set %+.2f, sd %.2f. "
                           "Escapes are bad chips shipped, overkill good ones rejected; images are those applied to a chip on average, full tests included.</p>\n<table>\n"
                           "<tr><th>rule<th>points<th>guard band<th>yield, %%<th>escapes, %%<th>overkill, %%<th>images a chip<th>first verdict: pass, tune, full test",
                        l->evaluate->layout.images, 100 * bm, 100 * bs, ot_mender_name(l->opt.book.mender), 100 * am, 100 * as));
    for (int r = 0; r < OT_RULES; r++)
        for (int d = 0; d < N_DROPS; d++) {
            ot_verdicts v;
            const char *rule = ot_rule_name((ot_rule_kind)r);
            if (ot_campaign_learned_verdicts(&v, l, (ot_rule_kind)r, ideal - drops[d]) == OT_OK) OT_TRY(add_row(t, rule, drops[d], &v));
            else OT_TRY(ot__text_add(t, "\n<tr><td>%s<td>%.0f<td colspan=6>%s", rule, 100 * drops[d], ot_last_error()));
        }
    return ot__text_add(t, "\n</table>\n");
}

/* A campaign that cannot be learned from says why. */
ot_status report__verdicts(ot_text *t, const report *p)
{
    ot_campaign_learn_options o = ot_campaign_learn_defaults();
    ot_campaign_learned      *l = NULL;
    o.book.mender = ot_campaign_mender(&p->spec);
    if (o.book.mender == OT_MENDER_NONE) return OT_OK;                /* no tuner that works from a signature: no predictive test */
    OT_TRY(ot__text_add(t, "<h2>The predictive test</h2>\n"));
    ot_status st = ot_campaign_learn(&l, p->db_path, &o);
    if (st == OT_E_NOMEM) return st;
    if (st != OT_OK) return ot__text_add(t, "<p>None: %s.</p>\n", ot_last_error());
    st = l->opinions ? add_table(t, l) : ot__text_add(t, "<p>None: no evaluation chip has answered with knobs set yet.</p>\n");
    ot_campaign_learned_free(l);
    return st;
}
