/* page.c - index.html: what the campaign was, its yields, costs and comparisons, and the curves, in one file without scripts. */
#include "report/report.h"

#include "base/fail.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

static const double drops[] = {0.01, 0.02, 0.03, 0.05, 0.10};
enum { N_DROPS = sizeof drops / sizeof *drops, COMPARED = 1 };

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>ohmtrim campaign</title>\n"
    "<style>\nbody { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }\n"
    "table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #ddd }\n"
    "th:first-child, td:first-child { text-align: left } small { color: #666 } img { max-width: 100% }\n"
    "code, pre { background: #f5f5f5; padding: .1rem .3rem } pre { padding: .8rem; overflow: auto }\n</style>\n";

static ot_status add_escaped(ot_text *t, const char *text)
{
    for (; *text; text++) {
        const char *as = *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : *text == '"' ? "&quot;" : NULL;
        OT_TRY(as ? ot__text_add(t, "%s", as) : ot__text_add(t, "%c", *text));
    }
    return OT_OK;
}

/* The picture inside the page, so that the page can be sent alone. */
static ot_status add_picture(ot_text *t, const report *p, const char *name, const char *alt)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char path[4200];
    void *bytes;
    size_t n;
    snprintf(path, sizeof path, "%.4000s/%s.svg", p->dir, name);
    OT_TRY(ot__file_read(&bytes, &n, path, (size_t)1 << 28));
    const uint8_t *b = bytes;
    ot_status st = ot__text_add(t, "<p><img alt=\"%s\" src=\"data:image/svg+xml;base64,", alt);
    for (size_t i = 0; i < n && st == OT_OK; i += 3) {
        uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) | (i + 2 < n ? b[i + 2] : 0);
        const char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=', i + 2 < n ? digits[v & 63] : '='};
        st = ot__text_bytes(t, four, 4);
    }
    ot_free(bytes);
    return st == OT_OK ? ot__text_add(t, "\"><br><small><a href=\"%s.svg\">svg</a> <a href=\"%s.png\">png</a> <a href=\"%s.csv\">csv</a></small></p>\n",
                                      name, name, name) : st;
}

static ot_status add_summary(ot_text *t, const report *p)
{
    const ot_campaign_results *r = p->r;
    OT_TRY(ot__text_add(t, "<h1>Campaign of "));
    OT_TRY(add_escaped(t, p->spec.network));
    OT_TRY(ot__text_add(t, "</h1>\n<p>%d chips for the casebook, %d of %d evaluation chips measured, untuned and with every tuner, on %lld test images of ",
                        r->casebook_done, r->n, r->evaluate_chips, (long long)r->images));
    OT_TRY(add_escaped(t, p->spec.data));
    OT_TRY(ot__text_add(t, ". Device "));
    OT_TRY(add_escaped(t, p->spec.device_model));
    OT_TRY(ot__text_add(t, ", variation %g %% (systematic share of the variance %g), %d bits a weight. The ideal network is right on %.2f %%.</p>\n",
                        100 * p->spec.variation.sigma, p->spec.variation.sys_share, p->spec.variation.bits, 100 * (double)r->ideal / (double)r->images));
    if (r->failed) OT_TRY(ot__text_add(t, "<p>%d chips could not be computed; they count as bad.</p>\n", r->failed));
    if (p->spec.tune.steps)
        return ot__text_add(t, "<p>Schedule of the exhaustive and subset tuners: %d Adam steps of %d images (set by hand; without, by epochs).</p>\n",
                            p->spec.tune.steps, p->spec.tune.minibatch);
    return ot__text_add(t, "<p>Schedule of the exhaustive and subset tuners: %g epochs in minibatches of %d images.</p>\n", p->spec.tune.epochs,
                        p->spec.tune.minibatch);
}

static ot_status add_yields(ot_text *t, const report *p)
{
    const ot_campaign_results *r = p->r;
    ot_yield y[N_DROPS];
    OT_TRY(ot__text_add(t, "<h2>Yield</h2>\n<p>A chip is good if its accuracy is at most so many points below the ideal one. Chips that are not are "
                           "tuned (oracle rule: their untuned accuracy is known). In brackets 95 %% Wilson intervals.</p>\n<table>\n<tr><th>"));
    for (int d = 0; d < N_DROPS; d++) {
        ot_campaign_yield(&y[d], r, drops[d]);
        OT_TRY(ot__text_add(t, "<th>%.0f point%s", 100 * drops[d], d ? "s" : ""));
    }
    for (int e = 0; e <= r->n_tuners; e++) {
        OT_TRY(ot__text_add(t, "\n<tr><td>%s", report__name(p, e)));
        for (int d = 0; d < N_DROPS; d++)
            OT_TRY(ot__text_add(t, "<td>%.1f %% <small>(%.0f&ndash;%.0f)</small>", 100 * y[d].yield[e].value, 100 * y[d].yield[e].low,
                                100 * y[d].yield[e].high));
    }
    OT_TRY(ot__text_add(t, "\n<tr><td>chips tuned"));
    for (int d = 0; d < N_DROPS; d++) OT_TRY(ot__text_add(t, "<td>%d of %d", y[d].flagged, r->n));
    OT_TRY(ot__text_add(t, "\n</table>\n"));
    return add_picture(t, p, "yield", "yield against the accuracy a chip may lose, for each tuner");
}

/* Self-tuning's modules, if the network is still where it was. */
static ot_status add_modules(ot_text *t, const report *p)
{
    for (int e = 1; e <= p->r->n_tuners; e++) {
        const ot_tuner      tuner = p->r->tuners[e - 1];
        ot_self_tuning_cost c;
        if ((tuner != OT_TUNER_SELF_TUNING && tuner != OT_TUNER_SELF_TUNING_LTM) || ot_campaign_modules(&c, &p->spec, tuner) != OT_OK) continue;
        OT_TRY(ot__text_add(t, "<p>The modules of %s: %.4g %% more multiply-accumulates an image, %.4g %% more cells.</p>\n", report__name(p, e),
                            100 * (c.macs_gtm + c.macs_ltm) / c.macs, 100 * (c.weights_gtm + c.weights_ltm) / c.weights));
    }
    return OT_OK;
}

static ot_status add_costs(ot_text *t, const report *p)
{
    const ot_campaign_results *r = p->r;
    ot_yield all;
    ot_campaign_yield(&all, r, -2.0);                          /* no chip reaches it: every chip is tuned */
    OT_TRY(ot__text_add(t, "<h2>Accuracy and cost</h2>\n<p>Every evaluation chip tuned: its mean accuracy, and the images run through a chip and the "
                           "seconds taken to tune it.</p>\n<table>\n<tr><th><th>mean accuracy<th>images a chip<th>of them backward<th>seconds a chip"));
    for (int e = 0; e <= r->n_tuners; e++) {
        double backward = 0;
        for (int i = 0; i < r->n && e; i++) backward += (double)r->backward[(size_t)i * (size_t)r->n_tuners + (size_t)(e - 1)];
        OT_TRY(ot__text_add(t, "\n<tr><td>%s<td>%.2f %%", report__name(p, e), 100 * all.accuracy[e]));
        OT_TRY(e ? ot__text_add(t, "<td>%.0f<td>%.0f<td>%.4f", all.images[e], backward / r->n, all.seconds[e]) : ot__text_add(t, "<td><td><td>"));
    }
    OT_TRY(ot__text_add(t, "\n</table>\n"));
    OT_TRY(add_modules(t, p));
    OT_TRY(add_picture(t, p, "accuracy", "mean accuracy against the threshold, and the accuracy of every chip"));
    return add_picture(t, p, "chips", "accuracy of every chip against its systematic variation, untuned and with each tuner");
}

/* Spiking networks: paper 002's Table II, and what rounding thresholds to the ladder cost. */
static ot_status add_recovery(ot_text *t, const report *p)
{
    static const double lost[] = {0.10, 0.05, 0.04, 0.03};
    const ot_campaign_results *r = p->r;
    if (!r->unrounded) return OT_OK;
    OT_TRY(ot__text_add(t, "<h2>Recovery of bad chips</h2>\n<p>Chips that lose more than so many points, untuned and tuned, and the share of them that tuning "
                           "recovers (95 %% Wilson interval); thresholds are levels of a ladder of %d bits, %g to %g times the designed ones. Last: mean "
                           "accuracy of every chip tuned, before thresholds went to its levels.</p>\n<table>\n<tr><th>", p->spec.ladder.bits, p->spec.ladder.low,
                        p->spec.ladder.high));
    for (int d = 0; d < 4; d++) OT_TRY(ot__text_add(t, "<th>%.0f points", 100 * lost[d]));
    OT_TRY(ot__text_add(t, "<th>before rounding"));
    for (int e = 0; e <= r->n_tuners; e++) {
        double sum = 0;
        OT_TRY(ot__text_add(t, "\n<tr><td>%s", report__name(p, e)));
        for (int d = 0; d < 4; d++) {
            ot_recovery v;
            ot_campaign_recovery(&v, r, lost[d]);
            OT_TRY(ot__text_add(t, "<td>%d bad", v.bad[e]));
            if (e && v.bad[0])
                OT_TRY(ot__text_add(t, ", %.1f %% recovered <small>(%.0f&ndash;%.0f)</small>", 100 * v.recovered[e].value, 100 * v.recovered[e].low,
                                    100 * v.recovered[e].high));
        }
        for (int i = 0; i < r->n && e; i++) sum += (double)r->unrounded[(size_t)i * (size_t)r->n_tuners + (size_t)(e - 1)];
        OT_TRY(e ? ot__text_add(t, "<td>%.2f %%", 100 * sum / ((double)r->n * (double)r->images)) : ot__text_add(t, "<td>"));
    }
    return ot__text_add(t, "\n</table>\n");
}

static ot_status add_comparisons(ot_text *t, const report *p)
{
    const ot_campaign_results *r = p->r;
    if (r->n_tuners < 2) return OT_OK;
    OT_TRY(ot__text_add(t, "<h2>Tuners against each other</h2>\n<p>On the same chips, at %.0f points: difference of mean accuracy with its 95 %% bootstrap "
                           "interval; chips good with one of the two only, and McNemar's exact test of equal yields.</p>\n<table>\n"
                           "<tr><th><th>accuracy, points<th>only the first<th>only the second<th>p", 100 * drops[COMPARED]));
    for (int a = 1; a <= r->n_tuners; a++)
        for (int b = a + 1; b <= r->n_tuners; b++) {
            ot_paired q;
            OT_TRY(ot_campaign_compare(&q, r, a, b, drops[COMPARED]));
            OT_TRY(ot__text_add(t, "\n<tr><td>%s against %s<td>%+.2f <small>(%+.2f to %+.2f)</small><td>%d<td>%d<td>%.2g", report__name(p, a),
                                report__name(p, b), 100 * q.difference.value, 100 * q.difference.low, 100 * q.difference.high, q.only_a, q.only_b, q.p));
        }
    return ot__text_add(t, "\n</table>\n");
}

static ot_status add_end(ot_text *t, const report *p)
{
    char *yaml;
    OT_TRY(ot_campaign_spec_text(&yaml, &p->spec));
    ot_status st = ot__text_add(t, "<h2>Spec</h2>\n<pre>");
    if (st == OT_OK) st = add_escaped(t, yaml);
    ot_free(yaml);
    OT_TRY(st);
    OT_TRY(ot__text_add(t, "</pre>\n<p>Database <code>"));
    OT_TRY(add_escaped(t, p->db_path));
    return ot__text_add(t, "</code>, digest of all results <code>%s</code>. Every chip: <a href=\"chips.csv\">chips.csv</a>. Curves: "
                           "<a href=\"plot.gp\">plot.gp</a>. ohmtrim %s.</p>\n</html>\n", p->digest, OT_VERSION);
}

ot_status report__page(const report *p)
{
    char path[4200];
    ot_text t = {0};
    ot_status st = ot__text_add(&t, "%s", head);
    if (st == OT_OK) st = add_summary(&t, p);
    if (st == OT_OK) st = add_yields(&t, p);
    if (st == OT_OK) st = add_costs(&t, p);
    if (st == OT_OK) st = add_recovery(&t, p);
    if (st == OT_OK) st = add_comparisons(&t, p);
    if (st == OT_OK) st = report__verdicts(&t, p);
    if (st == OT_OK) st = add_end(&t, p);
    snprintf(path, sizeof path, "%.4000s/index.html", p->dir);
    if (st == OT_OK) st = ot__file_write(path, t.bytes, t.n);
    ot_free(t.bytes);
    return st;
}
