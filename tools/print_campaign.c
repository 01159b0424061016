/* print_campaign.c - see print_campaign.h. */
#include "print_campaign.h"

#include "print_verdicts.h"

#include "base/fail.h"

#include <math.h>
#include <string.h>

static const double drops[] = {0.01, 0.02, 0.03, 0.05, 0.10};
enum { N_DROPS = sizeof drops / sizeof *drops, COMPARED = 1 };      /* tuners are compared at drops[COMPARED] */

static const double recovery_drops[] = {0.10, 0.05, 0.04, 0.03};    /* paper 002's */
enum { N_RECOVERY = sizeof recovery_drops / sizeof *recovery_drops };

static const char *name_of(const ot_campaign_results *r, int entry) { return entry ? ot_tuner_name(r->tuners[entry - 1]) : "untuned"; }

/* Entry of the exhaustive tuner, 0 if the campaign has none. */
static int exhaustive(const ot_campaign_results *r)
{
    for (int t = 0; t < r->n_tuners; t++)
        if (r->tuners[t] == OT_TUNER_EXHAUSTIVE) return t + 1;
    return 0;
}

/* Every chip tuned, whatever its accuracy: a threshold no chip reaches. */
static void all_tuned(ot_yield *out, const ot_campaign_results *r) { ot_campaign_yield(out, r, -2.0); }

/* Mean accuracy with entry e's knobs as the tuner gave them. */
static double unrounded(const ot_campaign_results *r, int e)
{
    double sum = 0;
    for (int i = 0; i < r->n; i++) sum += (double)r->unrounded[(size_t)i * (size_t)r->n_tuners + (size_t)(e - 1)];
    return r->n && r->images ? sum / ((double)r->n * (double)r->images) : NAN;
}

static cJSON *recovery(const ot_campaign_results *r, double drop)
{
    ot_recovery v;
    ot_campaign_recovery(&v, r, drop);
    cJSON *o = cJSON_CreateObject();
    cli_json_number(o, "drop", drop);
    cJSON *bad = cJSON_AddObjectToObject(o, "bad"), *value = cJSON_AddObjectToObject(o, "recovered"), *low = cJSON_AddObjectToObject(o, "low"),
          *high = cJSON_AddObjectToObject(o, "high");
    for (int e = 0; e <= r->n_tuners; e++) {
        cJSON_AddNumberToObject(bad, name_of(r, e), v.bad[e]);
        if (!e) continue;
        cli_json_number(value, name_of(r, e), v.recovered[e].value);
        cli_json_number(low, name_of(r, e), v.recovered[e].low);
        cli_json_number(high, name_of(r, e), v.recovered[e].high);
    }
    return o;
}

static cJSON *counts(int chips, int done)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "chips", chips);
    cJSON_AddNumberToObject(o, "done", done);
    return o;
}

static cJSON *threshold(const ot_campaign_results *r, double drop)
{
    ot_yield y;
    ot_campaign_yield(&y, r, drop);
    cJSON *o = cJSON_CreateObject();
    cli_json_number(o, "drop", drop);
    cJSON_AddStringToObject(o, "rule", "oracle");
    cli_json_number(o, "threshold", y.threshold);
    cJSON_AddNumberToObject(o, "flagged", y.flagged);
    cJSON *yield = cJSON_AddObjectToObject(o, "yield"), *low = cJSON_AddObjectToObject(o, "low"), *high = cJSON_AddObjectToObject(o, "high"),
          *accuracy = cJSON_AddObjectToObject(o, "accuracy"), *images = cJSON_AddObjectToObject(o, "images_per_flagged_chip"),
          *seconds = cJSON_AddObjectToObject(o, "seconds_per_flagged_chip");
    for (int e = 0; e <= r->n_tuners; e++) {
        cli_json_number(yield, name_of(r, e), y.yield[e].value);
        cli_json_number(low, name_of(r, e), y.yield[e].low);
        cli_json_number(high, name_of(r, e), y.yield[e].high);
        cli_json_number(accuracy, name_of(r, e), y.accuracy[e]);
        if (!e) continue;
        cli_json_number(images, name_of(r, e), y.images[e]);
        cli_json_number(seconds, name_of(r, e), y.seconds[e]);
    }
    return o;
}

static ot_status add_comparisons(cJSON *o, const ot_campaign_results *r)
{
    cJSON *list = cJSON_AddArrayToObject(o, "comparisons");
    for (int a = 1; a <= r->n_tuners; a++)
        for (int b = a + 1; b <= r->n_tuners; b++) {
            ot_paired p;
            ot_status st = ot_campaign_compare(&p, r, a, b, drops[COMPARED]);
            if (st != OT_OK) return st;
            cJSON *one = cJSON_CreateObject();
            cJSON_AddStringToObject(one, "a", name_of(r, a));
            cJSON_AddStringToObject(one, "b", name_of(r, b));
            cli_json_number(one, "drop", drops[COMPARED]);
            cJSON_AddNumberToObject(one, "only_a", p.only_a);
            cJSON_AddNumberToObject(one, "only_b", p.only_b);
            cli_json_number(one, "p_mcnemar", p.p);
            cli_json_number(one, "accuracy_difference", p.difference.value);
            cli_json_number(one, "low", p.difference.low);
            cli_json_number(one, "high", p.difference.high);
            cJSON_AddItemToArray(list, one);
        }
    return OT_OK;
}

static int has_modules(ot_tuner t) { return t == OT_TUNER_SELF_TUNING || t == OT_TUNER_SELF_TUNING_LTM; }

/* What self-tuning costs in hardware, where the network is still there. */
static void add_modules(cJSON *o, const ot_campaign_results *r, const ot_campaign_spec *spec)
{
    cJSON *all = NULL;
    for (int t = 0; t < r->n_tuners; t++) {
        ot_self_tuning_cost c;
        if (!has_modules(r->tuners[t]) || ot_campaign_modules(&c, spec, r->tuners[t]) != OT_OK) continue;
        if (!all) all = cJSON_AddObjectToObject(o, "modules");
        cli_add_self_tuning_cost(cJSON_AddObjectToObject(all, ot_tuner_name(r->tuners[t])), &c);
    }
}

static void print_modules(const ot_campaign_results *r, const ot_campaign_spec *spec)
{
    for (int t = 0; t < r->n_tuners; t++) {
        ot_self_tuning_cost c;
        char                text[160];
        if (!has_modules(r->tuners[t])) continue;
        const ot_status st = ot_campaign_modules(&c, spec, r->tuners[t]);
        printf("%smodules of %s: %s\n", t ? "" : "\n", ot_tuner_name(r->tuners[t]), st == OT_OK ? cli_self_tuning_cost(text, &c) : ot_last_error());
    }
}

static ot_status print_json(const ot_campaign_results *r, const ot_campaign_spec *spec, const char *digest, const ot_campaign_learned *l)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "chips", r->chips);
    cJSON_AddNumberToObject(o, "done", r->done);
    cJSON_AddNumberToObject(o, "failed", r->failed);
    cJSON_AddItemToObject(o, "casebook", counts(r->casebook_chips, r->casebook_done));
    cJSON_AddItemToObject(o, "evaluate", counts(r->evaluate_chips, r->evaluate_done));
    cli_json_number(o, "images", (double)r->images);
    cli_json_number(o, "ideal_accuracy", r->images ? (double)r->ideal / (double)r->images : NAN);
    cJSON *thresholds = cJSON_AddArrayToObject(o, "thresholds");
    for (int d = 0; d < N_DROPS && r->n; d++) cJSON_AddItemToArray(thresholds, threshold(r, drops[d]));
    cJSON *recoveries = cJSON_AddArrayToObject(o, "recovery");
    for (int d = 0; d < N_RECOVERY && r->n; d++) cJSON_AddItemToArray(recoveries, recovery(r, recovery_drops[d]));
    ot_yield all;
    all_tuned(&all, r);
    cJSON *mean = cJSON_AddObjectToObject(o, "mean_accuracy"), *images = cJSON_AddObjectToObject(o, "images_per_chip"),
          *seconds = cJSON_AddObjectToObject(o, "seconds_per_chip");
    for (int e = 0; e <= r->n_tuners; e++) {
        cli_json_number(mean, name_of(r, e), all.accuracy[e]);
        if (!e) continue;
        cli_json_number(images, name_of(r, e), all.images[e]);
        cli_json_number(seconds, name_of(r, e), all.seconds[e]);
    }
    cJSON *before = r->unrounded ? cJSON_AddObjectToObject(o, "mean_accuracy_unrounded") : NULL;
    for (int e = 1; e <= r->n_tuners && before; e++) cli_json_number(before, name_of(r, e), unrounded(r, e));
    ot_status st = add_comparisons(o, r);
    if (st != OT_OK) {
        cJSON_Delete(o);
        return st;
    }
    add_modules(o, r, spec);
    if (l) print_verdicts_json(cJSON_AddObjectToObject(o, "verdicts"), l);
    cJSON_AddStringToObject(o, "digest", digest);
    cli_print_json(o);
    return OT_OK;
}

static void print_yields(const ot_campaign_results *r)
{
    ot_yield y[N_DROPS], all;
    all_tuned(&all, r);
    for (int d = 0; d < N_DROPS; d++) ot_campaign_yield(&y[d], r, drops[d]);
    printf("\nYield of %d chips, %% (95 %% interval), if a chip may lose this much of the ideal accuracy; chips below it are tuned:\n%-17s", r->n, "");
    for (int d = 0; d < N_DROPS; d++) printf(" %7.0f points ", 100 * drops[d]);
    printf("\n");
    for (int e = 0; e <= r->n_tuners; e++) {
        printf("%-17s", name_of(r, e));
        for (int d = 0; d < N_DROPS; d++)
            printf(" %5.1f (%3.0f-%3.0f)", 100 * y[d].yield[e].value, 100 * y[d].yield[e].low, 100 * y[d].yield[e].high);
        printf("\n");
    }
    printf("%-17s", "chips tuned");
    for (int d = 0; d < N_DROPS; d++) printf(" %5d         ", y[d].flagged);
    printf("\n\nEvery chip tuned:  mean accuracy, %%   images a chip   seconds a chip%s\n", r->unrounded ? "   before rounding to the ladder, %" : "");
    for (int e = 0; e <= r->n_tuners; e++) {
        printf("%-17s %18.2f", name_of(r, e), 100 * all.accuracy[e]);
        if (e) printf(" %15.0f %16.4f", all.images[e], all.seconds[e]);
        if (e && r->unrounded) printf(" %34.2f", 100 * unrounded(r, e));
        printf("\n");
    }
}

/* Paper 002's Table II, with every tuner in place of its two; of spiking networks. */
static void print_recovery(const ot_campaign_results *r)
{
    printf("\nBad chips and how many of them tuning recovers, %% (95 %% interval), if a chip may lose this much of the ideal accuracy:\n%-17s", "");
    for (int d = 0; d < N_RECOVERY; d++) printf(" %12.0f points   ", 100 * recovery_drops[d]);
    printf("\n");
    for (int e = 0; e <= r->n_tuners; e++) {
        printf("%-17s", name_of(r, e));
        for (int d = 0; d < N_RECOVERY; d++) {
            ot_recovery v;
            ot_campaign_recovery(&v, r, recovery_drops[d]);
            if (!e || !v.bad[0]) printf(" %5d %-16s", v.bad[e], e ? "" : "bad");
            else printf(" %5d %5.1f (%3.0f-%3.0f)", v.bad[e], 100 * v.recovered[e].value, 100 * v.recovered[e].low, 100 * v.recovered[e].high);
        }
        printf("\n");
    }
}

static ot_status print_comparisons(const ot_campaign_results *r)
{
    int base = exhaustive(r);
    if (!base || r->n_tuners < 2) return OT_OK;
    printf("\nAgainst exhaustive, on the same chips, at %.0f points:  accuracy, points (95 %%)   good with only it / only exhaustive   McNemar p\n",
           100 * drops[COMPARED]);
    for (int e = 1; e <= r->n_tuners; e++) {
        ot_paired p;
        if (e == base) continue;
        ot_status st = ot_campaign_compare(&p, r, e, base, drops[COMPARED]);
        if (st != OT_OK) return st;
        printf("%-17s %+38.2f (%+.2f to %+.2f) %15d / %-15d %17.2g\n", name_of(r, e), 100 * p.difference.value, 100 * p.difference.low,
               100 * p.difference.high, p.only_a, p.only_b, p.p);
    }
    return OT_OK;
}

/* A judge learned from the casebook, for the mender whose tuner the campaign names first. */
static ot_status learn(ot_campaign_learned **out, const char *db_path, const ot_campaign_spec *spec)
{
    ot_campaign_learn_options o = ot_campaign_learn_defaults();
    o.book.mender = ot_campaign_mender(spec);
    if (o.book.mender != OT_MENDER_NONE) return ot_campaign_learn(out, db_path, &o);
    return ot__fail(OT_E_DATA, __FILE__, __LINE__, "%s: none of its tuners works from a signature: verdicts want learned, nearest, knn, ridge or moments among `tuners`",
                    db_path);
}

ot_status print_campaign(const char *db_path, int json, int verdicts)
{
    ot_campaign_results *r;
    ot_campaign_learned *l = NULL;
    ot_campaign_spec spec;
    char digest[65];
    ot_status st = ot_campaign_results_read(&r, db_path);
    if (st != OT_OK) return st;
    st = ot_campaign_digest(db_path, digest);
    if (st == OT_OK) st = ot_campaign_spec_stored(&spec, db_path);
    if (st == OT_OK && verdicts) st = learn(&l, db_path, &spec);
    if (st == OT_OK && json) st = print_json(r, &spec, digest, l);
    else if (st == OT_OK) {
        printf("%s: %d of %d chips done: casebook %d of %d, evaluation %d of %d; %d failed\n", db_path, r->done, r->chips, r->casebook_done,
               r->casebook_chips, r->evaluate_done, r->evaluate_chips, r->failed);
        if (spec.tune.steps) printf("schedule of exhaustive and subset: %d Adam steps of %d images\n", spec.tune.steps, spec.tune.minibatch);
        else printf("schedule of exhaustive and subset: %g epochs in minibatches of %d images\n", spec.tune.epochs, spec.tune.minibatch);
        if (r->images) printf("ideal accuracy %.2f %% of %lld test images\n", 100 * (double)r->ideal / (double)r->images, (long long)r->images);
        if (r->n) {
            print_yields(r);
            print_modules(r, &spec);
            if (r->unrounded) print_recovery(r);
            st = print_comparisons(r);
        }
        if (l) print_verdicts(l);
        printf("\ndigest %s\n", digest);
    }
    ot_campaign_learned_free(l);
    ot_campaign_results_free(r);
    return st;
}
