/* report.c - a campaign's curves as tables (csv), pictures (svg, png) and a page; see report.h and docs/campaign.md.
 *
 *     yield.csv      a row a threshold: drop and flagged chips, then for each tuner yield and its interval
 *     accuracy.csv   a row a threshold: mean accuracy with each tuner
 *     chips.csv      a row an evaluation chip: accuracy untuned and with each tuner
 *     sorted.csv     the same columns, each sorted by itself, best first, against the share of chips */
#include "report/report.h"

#include "base/fail.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *report__name(const report *p, int entry) { return entry ? ot_tuner_name(p->r->tuners[entry - 1]) : "untuned"; }

static ot_status write_text(const report *p, const char *name, ot_text *t, ot_status st)
{
    char path[4200];
    snprintf(path, sizeof path, "%.4000s/%s", p->dir, name);
    if (st == OT_OK) st = ot__file_write(path, t->bytes, t->n);
    ot_free(t->bytes);
    return st;
}

static ot_status yield_table(ot_text *t, const report *p)
{
    OT_TRY(ot__text_add(t, "drop_points,flagged"));
    for (int e = 0; e <= p->r->n_tuners; e++) {
        const char *name = report__name(p, e);
        OT_TRY(ot__text_add(t, ",%s,%s low,%s high", name, name, name));
    }
    for (int d = 0; d < REPORT_STEPS; d++) {
        const ot_yield *y = &p->curve[d];
        OT_TRY(ot__text_add(t, "\n%g,%d", 100 * y->drop, y->flagged));
        for (int e = 0; e <= p->r->n_tuners; e++)
            OT_TRY(ot__text_add(t, ",%.9g,%.9g,%.9g", 100 * y->yield[e].value, 100 * y->yield[e].low, 100 * y->yield[e].high));
    }
    return ot__text_add(t, "\n");
}

static ot_status accuracy_table(ot_text *t, const report *p)
{
    OT_TRY(ot__text_add(t, "drop_points,flagged"));
    for (int e = 0; e <= p->r->n_tuners; e++) OT_TRY(ot__text_add(t, ",%s", report__name(p, e)));
    for (int d = 0; d < REPORT_STEPS; d++) {
        OT_TRY(ot__text_add(t, "\n%g,%d", 100 * p->curve[d].drop, p->curve[d].flagged));
        for (int e = 0; e <= p->r->n_tuners; e++) OT_TRY(ot__text_add(t, ",%.9g", 100 * p->curve[d].accuracy[e]));
    }
    return ot__text_add(t, "\n");
}

static int64_t correct(const ot_campaign_results *r, int i, int e)
{
    return e ? r->tuned[(size_t)i * (size_t)r->n_tuners + (size_t)(e - 1)] : r->untuned[i];
}

static ot_status chip_table(ot_text *t, const report *p)
{
    const ot_campaign_results *r = p->r;
    OT_TRY(ot__text_add(t, "chip,delta_sys"));
    for (int e = 0; e <= r->n_tuners; e++) OT_TRY(ot__text_add(t, ",%s", report__name(p, e)));
    for (int i = 0; i < r->n; i++) {
        OT_TRY(ot__text_add(t, "\n%u,%.9g", r->chip[i], r->delta_sys[i]));
        for (int e = 0; e <= r->n_tuners; e++) OT_TRY(ot__text_add(t, ",%.9g", 100 * (double)correct(r, i, e) / (double)r->images));
    }
    return ot__text_add(t, "\n");
}

static int falling(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static ot_status sorted_table(ot_text *t, const report *p)
{
    const ot_campaign_results *r = p->r;
    size_t n = (size_t)r->n, entries = (size_t)r->n_tuners + 1;
    int64_t *column = ot_alloc(n * entries, sizeof *column);
    if (!column) OT_NOMEM("sorted chips", n * entries * sizeof *column);
    ot_status st = ot__text_add(t, "chips_percent");
    for (size_t e = 0; e < entries; e++) {
        for (size_t i = 0; i < n; i++) column[e * n + i] = correct(r, (int)i, (int)e);
        qsort(column + e * n, n, sizeof *column, falling);
        if (st == OT_OK) st = ot__text_add(t, ",%s", report__name(p, (int)e));
    }
    for (size_t i = 0; st == OT_OK && i < n; i++) {
        st = ot__text_add(t, "\n%.9g", 100 * ((double)i + 0.5) / (double)n);
        for (size_t e = 0; st == OT_OK && e < entries; e++) st = ot__text_add(t, ",%.9g", 100 * (double)column[e * n + i] / (double)r->images);
    }
    ot_free(column);
    return st == OT_OK ? ot__text_add(t, "\n") : st;
}

static ot_status write_all(report *p)
{
    ot_text t = {0}, u = {0}, v = {0}, w = {0};
    if (!p->r->n || !p->r->images)
        OT_FAIL(OT_E_MISMATCH, "%s: no evaluation chip is finished yet, want one at least (`ohmtrim campaign run` goes on)", p->db_path);
    if (mkdir(p->dir, 0777) && errno != EEXIST) OT_FAIL(OT_E_WRITE, "%s: %s", p->dir, strerror(errno));
    for (int d = 0; d < REPORT_STEPS; d++) ot_campaign_yield(&p->curve[d], p->r, d * 0.0025);
    OT_TRY(write_text(p, "yield.csv", &t, yield_table(&t, p)));
    OT_TRY(write_text(p, "accuracy.csv", &u, accuracy_table(&u, p)));
    OT_TRY(write_text(p, "chips.csv", &v, chip_table(&v, p)));
    OT_TRY(write_text(p, "sorted.csv", &w, sorted_table(&w, p)));
    OT_TRY(report__plot(p));
    return report__page(p);
}

ot_status ot_report_write(const char *db_path, const char *dir)
{
    report p = {.db_path = db_path, .dir = dir};
    ot_status st = OT_OK;
    OT_TRY_TO(done, st, ot_campaign_results_read(&p.r, db_path));
    OT_TRY_TO(done, st, ot_campaign_spec_stored(&p.spec, db_path));
    OT_TRY_TO(done, st, ot_campaign_digest(db_path, p.digest));
    p.curve = ot_alloc(REPORT_STEPS, sizeof *p.curve);
    if (!p.curve) OT_FAIL_TO(done, st, OT_E_NOMEM, "%s: no memory for its curves", db_path);
    st = write_all(&p);
done:
    ot_free(p.curve);
    ot_campaign_results_free(p.r);
    return st;
}
