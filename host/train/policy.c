/* policy.c - learning-rate policies: their functions, checks, and lengths in iterations (policy.h).
 *
 * Times are reduced to one period by fmod, which is exact, so that a wave a million periods on has the shape of the first.  The
 * formulas are written in the order in which the schedules of ot_train_lr had them, so those keep their bits. */
#include "train/policy.h"
#include "base/fail.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const ot__policy_form forms[OT_POLICY_KINDS] = {
    [OT_POLICY_FIX] = {"FIX", "k0", OT__K0, 0},
    [OT_POLICY_STEP] = {"STEP", "k0 gamma^floor(t / l)", OT__K0 | OT__GAMMA | OT__L, 0},
    [OT_POLICY_NSTEP] = {"NSTEP", "k0 gamma^(how many l <= t)", OT__K0 | OT__GAMMA | OT__LIST, 0},
    [OT_POLICY_EXP] = {"EXP", "k0 gamma^t", OT__K0 | OT__GAMMA, OT__PER},
    [OT_POLICY_INV] = {"INV", "k0 / (1 + gamma t)^p", OT__K0 | OT__GAMMA | OT__P, OT__PER},
    [OT_POLICY_POLY] = {"POLY", "(k1 - k0) (1 - t / l)^p + k0", OT__K1 | OT__P | OT__L, OT__K0},
    [OT_POLICY_TRI] = {"TRI", "(k1 - k0) tri(t) + k0", OT__K1 | OT__L, OT__K0},
    [OT_POLICY_TRI2] = {"TRI2", "(k1 - k0) tri(t) / 2^floor(t / (2 l)) + k0", OT__K1 | OT__L, OT__K0},
    [OT_POLICY_TRIEXP] = {"TRIEXP", "(k1 - k0) tri(t) gamma^t + k0", OT__K1 | OT__GAMMA | OT__L, OT__K0 | OT__PER},
    [OT_POLICY_SIN] = {"SIN", "(k1 - k0) |sin(pi t / (2 l))| + k0", OT__K1 | OT__L, OT__K0},
    [OT_POLICY_SIN2] = {"SIN2", "(k1 - k0) |sin(pi t / (2 l))| / 2^floor(t / (2 l)) + k0", OT__K1 | OT__L, OT__K0},
    [OT_POLICY_SINEXP] = {"SINEXP", "(k1 - k0) |sin(pi t / (2 l))| gamma^t + k0", OT__K1 | OT__GAMMA | OT__L, OT__K0 | OT__PER},
    [OT_POLICY_COS] = {"COS", "(k1 - k0) / 2 (1 + cos(pi t / l)) + k0", OT__K1 | OT__L, OT__K0},
};

const ot__policy_form *ot__policy_form_of(ot_policy_kind kind)
{
    return (int)kind >= 0 && kind < OT_POLICY_KINDS ? &forms[kind] : NULL;
}
const char *ot_policy_name(ot_policy_kind kind) { return ot__policy_form_of(kind) ? forms[kind].name : "?"; }
const char *ot_policy_formula(ot_policy_kind kind) { return ot__policy_form_of(kind) ? forms[kind].formula : "?"; }

/* ---- the functions ---- */

static double tri(double t, double l) { return 1 - fabs(fmod(t, 2 * l) / l - 1); }
static double sn(double t, double l) { return sin(M_PI * fmod(t, 2 * l) / (2 * l)); }
static double halved(double x, double t, double l) { return x * pow(0.5, floor(t / (2 * l))); }

static double part_lr(const ot_policy_part *f, double t)
{
    const double k0 = f->k0, k1 = f->k1, g = f->gamma, l = f->l.n;
    switch (f->kind) {
    case OT_POLICY_FIX: return k0;
    case OT_POLICY_STEP: return k0 * pow(g, floor(t / l));
    case OT_POLICY_NSTEP: {
        int passed = 0;
        for (int i = 0; i < f->n_steps; i++) passed += f->step[i].n <= t;
        return k0 * pow(g, passed);
    }
    case OT_POLICY_EXP: return k0 * pow(g, t / f->per.n);
    case OT_POLICY_INV: return k0 / pow(1 + g * (t / f->per.n), f->p);
    case OT_POLICY_POLY: return t < l ? (k1 - k0) * pow(1 - t / l, f->p) + k0 : k0;
    case OT_POLICY_TRI: return (k1 - k0) * tri(t, l) + k0;
    case OT_POLICY_TRI2: return (k1 - k0) * halved(tri(t, l), t, l) + k0;
    case OT_POLICY_TRIEXP: return (k1 - k0) * tri(t, l) * pow(g, t / f->per.n) + k0;
    case OT_POLICY_SIN: return (k1 - k0) * sn(t, l) + k0;
    case OT_POLICY_SIN2: return (k1 - k0) * halved(sn(t, l), t, l) + k0;
    case OT_POLICY_SINEXP: return (k1 - k0) * sn(t, l) * pow(g, t / f->per.n) + k0;
    case OT_POLICY_COS: return (k1 - k0) / 2 * (1 + cos(M_PI * t / l)) + k0;
    default: return NAN;
    }
}

/* Every length that the part uses, one after the other; NULL past the last. */
static ot_span *length_of(ot_policy_part *f, int i)
{
    const unsigned uses = forms[f->kind].needs | forms[f->kind].may;
    if (uses & OT__L && i-- == 0) return &f->l;
    if (uses & OT__PER && i-- == 0) return &f->per;
    return uses & OT__LIST && i < f->n_steps ? &f->step[i] : NULL;
}

static int has_unit(const ot_policy_part *f, ot_span_unit unit)
{
    const ot_span *s;
    for (int k = 0; (s = length_of((ot_policy_part *)f, k)); k++)
        if (s->unit == unit) return 1;
    return 0;
}

double ot_policy_lr(const ot_policy *p, double t)
{
    if (p->n < 1 || !(t >= 0)) return NAN;
    int i = 0;
    for (; i < p->n - 1; i++) {
        if (p->until[i].unit != OT_SPAN_ITERATIONS) return NAN;
        if (t < p->until[i].n) break;
    }
    const ot_policy_part *f = &p->part[i];
    if (!ot__policy_form_of(f->kind) || has_unit(f, OT_SPAN_EPOCHS) || has_unit(f, OT_SPAN_PERCENT)) return NAN;
    return part_lr(f, i ? t - p->until[i - 1].n : t);
}

/* ---- checks ---- */

static ot_status check_span(const char *of, const char *what, ot_span s)
{
    static const char *const unit[] = {"iterations", "epochs", "percent of the run"};
    if ((int)s.unit < 0 || s.unit > OT_SPAN_PERCENT) OT_FAIL(OT_E_RANGE, "%s: %s has unit %d, want 0..2", of, what, (int)s.unit);
    if (!(s.n > 0 && s.n <= 1e15)) OT_FAIL(OT_E_RANGE, "%s: %s = %g %s, want above 0, at most 1e15", of, what, s.n, unit[s.unit]);
    return OT_OK;
}

/* Each past the one before it, where they have the same unit. */
static ot_status check_rising(const char *of, const char *what, const ot_span *s, int n)
{
    for (int i = 0; i < n; i++) {
        OT_TRY(check_span(of, what, s[i]));
        if (i && s[i].unit == s[i - 1].unit && !(s[i].n > s[i - 1].n))
            OT_FAIL(OT_E_RANGE, "%s: %s %d is at %.15g after %.15g, want them rising", of, what, i + 1, s[i].n, s[i - 1].n);
    }
    return OT_OK;
}

static ot_status check_part(const ot_policy_part *f)
{
    const ot__policy_form *form = ot__policy_form_of(f->kind);
    if (!form) OT_FAIL(OT_E_RANGE, "policy number %d, want 0..%d", (int)f->kind, OT_POLICY_KINDS - 1);
    const unsigned uses = form->needs | form->may;
    const char    *of = form->name;
    if (!(f->k0 >= 0 && f->k0 <= 100)) OT_FAIL(OT_E_RANGE, "%s: k0 = %g, want a rate 0..100", of, f->k0);
    if (uses & OT__K1 && !(f->k1 >= 0 && f->k1 <= 100)) OT_FAIL(OT_E_RANGE, "%s: k1 = %g, want a rate 0..100", of, f->k1);
    if (!(f->k0 > 0 || (uses & OT__K1 && f->k1 > 0))) OT_FAIL(OT_E_RANGE, "%s: its rates are all 0, want one above", of);
    if (f->kind == OT_POLICY_INV && !(f->gamma >= 0 && f->gamma <= 1e15)) OT_FAIL(OT_E_RANGE, "%s: gamma = %g, want 0..1e15", of, f->gamma);
    if (f->kind != OT_POLICY_INV && uses & OT__GAMMA && !(f->gamma > 0 && f->gamma <= 1))
        OT_FAIL(OT_E_RANGE, "%s: gamma = %g, want above 0, at most 1", of, f->gamma);
    if (uses & OT__P && !(f->p > 0 && f->p <= 100)) OT_FAIL(OT_E_RANGE, "%s: p = %g, want above 0, at most 100", of, f->p);
    if (uses & OT__L) OT_TRY(check_span(of, "l", f->l));
    if (uses & OT__PER) OT_TRY(check_span(of, "gamma's time", f->per));
    if (!(uses & OT__LIST)) return OT_OK;
    if (!(f->n_steps >= 1 && f->n_steps <= OT_POLICY_STEPS))
        OT_FAIL(OT_E_RANGE, "%s: l lists %d steps, want 1..%d", of, f->n_steps, OT_POLICY_STEPS);
    return check_rising(of, "l", f->step, f->n_steps);
}

ot_status ot_policy_check(const ot_policy *p)
{
    char text[OT_POLICY_TEXT];
    if (!(p->n >= 0 && p->n <= OT_POLICY_PARTS)) OT_FAIL(OT_E_RANGE, "a policy of %d functions, want 1..%d", p->n, OT_POLICY_PARTS);
    for (int i = 0; i < p->n; i++) OT_TRY(check_part(&p->part[i]));
    if (p->n > 1) OT_TRY(check_rising("composite", "boundary", p->until, p->n - 1));
    if (ot__policy_text(text, p) >= OT_POLICY_TEXT)
        OT_FAIL(OT_E_RANGE, "the policy %.60s... is longer than %d bytes as text, want fewer digits or functions", text, OT_POLICY_TEXT - 1);
    return OT_OK;
}

/* ---- lengths in iterations ---- */

static ot_status span_for(ot_span *s, double run, double epoch)
{
    const double one = s->unit == OT_SPAN_PERCENT ? run : s->unit == OT_SPAN_EPOCHS ? epoch : 1;
    if (s->unit == OT_SPAN_ITERATIONS) return OT_OK;
    if (!(one > 0 && one <= 1e15))
        OT_FAIL(OT_E_RANGE, "the policy's lengths are %s, and %s has %g iterations, want above 0, at most 1e15",
                s->unit == OT_SPAN_PERCENT ? "percent of the run" : "epochs", s->unit == OT_SPAN_PERCENT ? "it" : "an epoch", one);
    *s = (ot_span){s->unit == OT_SPAN_PERCENT ? s->n / 100 * one : s->n * one, OT_SPAN_ITERATIONS};
    return OT_OK;
}

ot_status ot_policy_for(ot_policy *out, const ot_policy *p, double run, double epoch)
{
    OT_TRY(ot_policy_check(p));
    ot_policy q = *p;
    for (int i = 0; i < q.n; i++) {
        ot_policy_part *f = &q.part[i];
        ot_span        *s;
        for (int k = 0; (s = length_of(f, k)); k++) OT_TRY(span_for(s, run, epoch));
        if (i < q.n - 1) OT_TRY(span_for(&q.until[i], run, epoch));
        if (f->kind == OT_POLICY_NSTEP) OT_TRY(check_rising("NSTEP", "l", f->step, f->n_steps));
    }
    if (q.n > 1) OT_TRY(check_rising("composite", "boundary", q.until, q.n - 1));
    *out = q;
    return OT_OK;
}

int ot_policy_scales(const ot_policy *p)
{
    for (int i = 0; i < p->n; i++)
        if ((i < p->n - 1 && p->until[i].unit == OT_SPAN_PERCENT) || has_unit(&p->part[i], OT_SPAN_PERCENT)) return 1;
    return 0;
}

/* ---- usual forms ---- */

/* A tenth as one would write it: 0.0003, not 0.00030000000000000003. */
static double tenth(double v)
{
    char text[32];
    snprintf(text, sizeof text, "%.14ge-1", v);
    return strchr(text, 'e') == strrchr(text, 'e') ? strtod(text, NULL) : v / 10;
}

ot_status ot_policy_usual(ot_policy *out, ot_policy_kind kind, double top)
{
    const ot_span  run = {100, OT_SPAN_PERCENT}, half = {50, OT_SPAN_PERCENT}, wave = {12.5, OT_SPAN_PERCENT};
    ot_policy      q = {.n = 1};
    ot_policy_part f = {.kind = kind, .k0 = top};
    switch (kind) {
    case OT_POLICY_FIX: break;
    case OT_POLICY_STEP: f.gamma = 0.1, f.l = half; break;
    case OT_POLICY_NSTEP:
        f.gamma = 0.1, f.n_steps = 2;
        f.step[0] = (ot_span){60, OT_SPAN_PERCENT}, f.step[1] = (ot_span){80, OT_SPAN_PERCENT};
        break;
    case OT_POLICY_EXP: f.gamma = 0.01, f.per = run; break;
    case OT_POLICY_INV: f.gamma = 10, f.p = 1, f.per = run; break;
    default: /* between two rates; waves of a quarter of the run */
        f.k0 = kind == OT_POLICY_POLY || kind == OT_POLICY_COS ? 0 : tenth(top);
        f.k1 = top;
        f.l = kind == OT_POLICY_POLY || kind == OT_POLICY_COS ? run : wave;
        if (kind == OT_POLICY_POLY) f.p = 1;
        if (kind == OT_POLICY_TRIEXP || kind == OT_POLICY_SINEXP) f.gamma = 0.1, f.per = run;
    }
    q.part[0] = f;
    OT_TRY(ot_policy_check(&q));
    *out = q;
    return OT_OK;
}

/* ---- optimisers ---- */

ot_status ot_optimizer_parse(ot_optimizer *out, double *momentum, const char *name)
{
    if (!strcmp(name, "adam"))
        *out = OT_OPTIMIZER_ADAM;
    else if (!strcmp(name, "sgd"))
        *out = OT_OPTIMIZER_SGD;
    else if (!strcmp(name, "momentum")) {
        *out = OT_OPTIMIZER_SGD;
        if (*momentum == 0) *momentum = 0.9;
    } else
        OT_FAIL(OT_E_RANGE, "optimizer = '%.40s', want adam, sgd or momentum", name);
    return OT_OK;
}

const char *ot_optimizer_name(ot_optimizer optimizer, double momentum)
{
    return optimizer == OT_OPTIMIZER_ADAM ? "adam" : momentum > 0 ? "momentum" : "sgd";
}
