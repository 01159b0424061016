/* print_verdicts.c - see print_verdicts.h. */
#include "print_verdicts.h"

static const double drops[] = {0.01, 0.02, 0.03, 0.05, 0.10};
enum { N_DROPS = sizeof drops / sizeof *drops };

static double ideal(const ot_campaign_learned *l) { return (double)l->evaluate->ideal / (double)l->evaluate->images; }

static void print_row(const char *name, double drop, const ot_verdicts *v)
{
    printf("%-10s %5.0f %9.3f %7.1f (%5.1f-%5.1f) %7.2f (%4.2f-%5.2f) %7.2f (%4.2f-%5.2f) %9.1f   %d / %d / %d   %d + %d\n", name, 100 * drop, 100 * v->guard,
           100 * v->yield.value, 100 * v->yield.low, 100 * v->yield.high, 100 * v->escape.value, 100 * v->escape.low, 100 * v->escape.high,
           100 * v->overkill.value, 100 * v->overkill.low, 100 * v->overkill.high, v->images, v->first[OT_VERDICT_PASS], v->first[OT_VERDICT_TUNE],
           v->first[OT_VERDICT_FULL_TEST], v->escaped[0], v->escaped[1]);
}

void print_verdicts(const ot_campaign_learned *l)
{
    double bm, bs, am, as;
    if (!l->opinions) {
        printf("no evaluation chips with the knobs of '%s': no verdicts\n", ot_mender_name(l->opt.book.mender));
        return;
    }
    ot_opinions_errors(l->opinions, &bm, &bs, &am, &as);
    printf("\nOn %d evaluation chips: predicted - true accuracy %+.3f points, sd %.3f; with knobs set %+.3f, sd %.3f\n", l->evaluate->n, 100 * bm, 100 * bs, 100 * am,
           100 * as);
    printf("rule        drop guard band  yield, %% (95 %%)        escapes, %%            overkill, %%     images a chip   pass / tune / full test   escaped at 1st + 2nd verdict\n");
    for (int r = 0; r < OT_RULES; r++)
        for (int d = 0; d < N_DROPS; d++) {
            ot_verdicts v;
            if (ot_campaign_learned_verdicts(&v, l, (ot_rule_kind)r, ideal(l) - drops[d]) == OT_OK) print_row(ot_rule_name((ot_rule_kind)r), drops[d], &v);
            else printf("%-10s %5.0f %s\n", ot_rule_name((ot_rule_kind)r), 100 * drops[d], ot_last_error());
        }
}

static void add_rate(cJSON *o, const char *name, const ot_rate *r)
{
    cJSON *x = cJSON_AddObjectToObject(o, name);
    cli_json_number(x, "value", r->value);
    cli_json_number(x, "low", r->low);
    cli_json_number(x, "high", r->high);
}

static cJSON *counts(const int *n)
{
    cJSON *o = cJSON_CreateObject();
    for (int v = 0; v < OT_VERDICTS; v++)
        if (n[v]) cJSON_AddNumberToObject(o, ot_verdict_name((ot_verdict)v), n[v]);
    return o;
}

void print_verdicts_json(cJSON *o, const ot_campaign_learned *l)
{
    double bm, bs, am, as;
    cJSON *list = cJSON_AddArrayToObject(o, "thresholds");
    if (!l->opinions) return;
    ot_opinions_errors(l->opinions, &bm, &bs, &am, &as);
    cJSON *e = cJSON_AddObjectToObject(o, "evaluation");
    cJSON_AddNumberToObject(e, "chips", l->evaluate->n);
    cli_json_number(e, "error_mean", bm);
    cli_json_number(e, "error_sd", bs);
    cli_json_number(e, "after_error_mean", am);
    cli_json_number(e, "after_error_sd", as);
    for (int r = 0; r < OT_RULES; r++)
        for (int d = 0; d < N_DROPS; d++) {
            ot_verdicts v;
            if (ot_campaign_learned_verdicts(&v, l, (ot_rule_kind)r, ideal(l) - drops[d]) != OT_OK) continue;
            cJSON *t = cJSON_CreateObject();
            cli_json_number(t, "drop", drops[d]);
            cJSON_AddStringToObject(t, "rule", ot_rule_name((ot_rule_kind)r));
            cli_json_number(t, "threshold", v.cutoff);
            cli_json_number(t, "guard", v.guard);
            cli_json_number(t, "guard_after", v.guard_after);
            add_rate(t, "yield", &v.yield);
            add_rate(t, "escape", &v.escape);
            add_rate(t, "overkill", &v.overkill);
            cli_json_number(t, "images_per_chip", v.images);
            cJSON_AddItemToObject(t, "first", counts(v.first));
            cJSON_AddItemToObject(t, "second", counts(v.second));
            cJSON_AddNumberToObject(t, "tuned", v.tuned);
            cJSON_AddNumberToObject(t, "rejected", v.rejected);
            cJSON_AddNumberToObject(t, "escaped_first", v.escaped[0]);
            cJSON_AddNumberToObject(t, "escaped_second", v.escaped[1]);
            cJSON_AddItemToArray(list, t);
        }
}
