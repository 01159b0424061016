/* policy_text.c - policies from text and back (policy.h).
 *
 *     policy    = function { [@ length] [,] function }
 *     function  = NAME [(] { key = value [,] } [)]
 *     value     = number | length | [ length { [,] length } ] | number / length          l, NSTEP's l, gamma
 *     length    = number | number % | number ep
 *
 * A reader that goes through the text once, from left to right; what is wrong is named with the words that stand there. */
#include "train/policy.h"
#include "base/fail.h"
#include "base/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD = 32 };

static const struct { const char *name; unsigned bit; } keys[] = {{"k0", OT__K0}, {"k1", OT__K1}, {"gamma", OT__GAMMA}, {"p", OT__P}, {"l", OT__L | OT__LIST}};
enum { KEYS = sizeof keys / sizeof *keys };

/* ---- words and numbers ---- */

static void skip(const char **s)
{
    while (isspace((unsigned char)**s) || **s == ',') ++*s;
}

static int word(char out[WORD], const char **s)
{
    int n = 0;
    for (; isalnum((unsigned char)**s) || **s == '_'; ++*s)
        if (n < WORD - 1) out[n++] = **s;
    out[n] = 0;
    return n;
}

static ot_status number(double *out, const char **s, const char *of)
{
    char *end = NULL;
    const char *digits = *s + (**s == '-' || **s == '+');
    errno = 0;
    double v = isdigit((unsigned char)*digits) || *digits == '.' ? strtod(*s, &end) : 0;
    const size_t word = strcspn(*s, " ,()/@[]");
    if (!end || end == *s) OT_FAIL(OT_E_RANGE, "%s: '%.*s' is no number", of, (int)(word && word < 24 ? word : 24), *s);
    if (errno || !isfinite(v)) OT_FAIL(OT_E_RANGE, "%s: '%.*s' is not a number that a double holds", of, (int)(end - *s < 24 ? end - *s : 24), *s);
    *s = end;
    *out = v;
    return OT_OK;
}

/* What may follow a value. */
static ot_status ended(const char *s, const char *of)
{
    if (*s && !isspace((unsigned char)*s) && !strchr(",)]@", *s)) OT_FAIL(OT_E_RANGE, "%s: '%.24s' after the number, want a space, comma, %% or ep", of, s);
    return OT_OK;
}

static ot_status length(ot_span *out, const char **s, const char *of)
{
    OT_TRY(number(&out->n, s, of));
    out->unit = OT_SPAN_ITERATIONS;
    if (**s == '%')
        out->unit = OT_SPAN_PERCENT, ++*s;
    else if (!strncmp(*s, "ep", 2))
        out->unit = OT_SPAN_EPOCHS, *s += 2;
    return ended(*s, of);
}

/* ---- names ---- */

/* Letters to change, put in or leave out. */
static int distance(const char *a, const char *b)
{
    int row[WORD], n = (int)strlen(b);
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int slant = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = slant + (toupper((unsigned char)a[i - 1]) != b[j - 1]);
            slant = row[j];
            row[j] = row[j] + 1 < change ? row[j] + 1 : change;
            if (row[j - 1] + 1 < row[j]) row[j] = row[j - 1] + 1;
        }
    }
    return row[n];
}

static ot_status kind_of(ot_policy_kind *out, const char *name)
{
    char all[128] = "";
    int best = 0;
    for (int k = 0; k < OT_POLICY_KINDS; k++) {
        const char *is = ot_policy_name((ot_policy_kind)k);
        if (!strcasecmp(is, name)) {
            *out = (ot_policy_kind)k;
            return OT_OK;
        }
        if (distance(name, is) < distance(name, ot_policy_name((ot_policy_kind)best))) best = k;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", k ? ", " : "", is);
    }
    OT_FAIL(OT_E_RANGE, "'%s' is not a policy, want %s, or another of %s", name, ot_policy_name((ot_policy_kind)best), all);
}

/* The keys of these parameters: "k0, gamma, l". */
static const char *names_of(char out[WORD], unsigned parameters)
{
    out[0] = 0;
    for (int i = 0; i < KEYS; i++)
        if (keys[i].bit & parameters) snprintf(out + strlen(out), WORD - strlen(out), "%s%s", out[0] ? ", " : "", keys[i].name);
    return out;
}

/* ---- a function ---- */

static ot_status steps(ot_policy_part *f, const char **s, const char *of)
{
    if (**s != '[') return length(&f->step[f->n_steps++], s, of);
    ++*s;
    for (skip(s); **s && **s != ']'; skip(s)) {
        if (f->n_steps == OT_POLICY_STEPS) OT_FAIL(OT_E_RANGE, "%s lists more than %d steps, want 1..%d", of, OT_POLICY_STEPS, OT_POLICY_STEPS);
        OT_TRY(length(&f->step[f->n_steps++], s, of));
    }
    if (**s != ']') OT_FAIL(OT_E_RANGE, "%s: its list does not end, want ]", of);
    ++*s;
    if (!f->n_steps) OT_FAIL(OT_E_RANGE, "%s lists no steps, want 1..%d", of, OT_POLICY_STEPS);
    return OT_OK;
}

static ot_status value(ot_policy_part *f, const ot__policy_form *form, unsigned key, const char **s, const char *of)
{
    const unsigned uses = form->needs | form->may;
    while (isspace((unsigned char)**s)) ++*s;
    if (key & OT__L) return uses & OT__LIST ? steps(f, s, of) : length(&f->l, s, of);
    double *to = key == OT__K0 ? &f->k0 : key == OT__K1 ? &f->k1 : key == OT__P ? &f->p : &f->gamma;
    OT_TRY(number(to, s, of));
    if (key != OT__GAMMA || **s != '/') return ended(*s, of);
    if (!(uses & OT__PER)) OT_FAIL(OT_E_RANGE, "%s is that of a step, want it without /", of);
    ++*s;
    return length(&f->per, s, of);
}

static ot_status parameter(ot_policy_part *f, const ot__policy_form *form, unsigned *seen, const char *name, const char **s)
{
    char list[WORD], of[2 * WORD];
    const unsigned uses = form->needs | form->may;
    int i = 0;
    while (i < KEYS && (strcmp(keys[i].name, name) || !(keys[i].bit & uses))) i++;
    if (i == KEYS) OT_FAIL(OT_E_RANGE, "%s has no parameter '%s', want %s", form->name, name, names_of(list, uses));
    if (*seen & keys[i].bit) OT_FAIL(OT_E_RANGE, "%s: %s stands there twice, want it once", form->name, name);
    *seen |= keys[i].bit;
    snprintf(of, sizeof of, "%s: %s", form->name, name);
    return value(f, form, keys[i].bit, s, of);
}

static ot_status function(ot_policy_part *f, const char **s)
{
    char name[WORD], list[WORD], absent[WORD];
    unsigned seen = 0;
    *f = (ot_policy_part){.per = {1, OT_SPAN_ITERATIONS}};
    if (!word(name, s)) OT_FAIL(OT_E_RANGE, "'%.24s' where a policy's name should stand, such as COS", *s);
    OT_TRY(kind_of(&f->kind, name));
    const ot__policy_form *form = ot__policy_form_of(f->kind);
    while (isspace((unsigned char)**s)) ++*s;
    const int open = **s == '(';
    *s += open;
    for (skip(s); **s; skip(s)) {
        const char *before = *s;
        if (!word(name, s)) break;
        while (isspace((unsigned char)**s)) ++*s;
        if (**s != '=') {
            if (open) OT_FAIL(OT_E_RANGE, "%s: '%s' without a value, want %s=NUMBER", form->name, name, name);
            *s = before;        /* the next function's name */
            break;
        }
        ++*s;
        OT_TRY(parameter(f, form, &seen, name, s));
    }
    if (open && **s != ')') OT_FAIL(OT_E_RANGE, "%s: '%.24s' where ) should stand", form->name, *s);
    *s += open;
    if (!(form->may & OT__PER)) f->per = (ot_span){0};
    const unsigned missing = form->needs & ~seen;
    if (missing)
        OT_FAIL(OT_E_RANGE, "%s: %s is missing, want %s", form->name, names_of(absent, missing), names_of(list, form->needs | form->may));
    return OT_OK;
}

ot_status ot_policy_read(ot_policy *out, const char *text)
{
    ot_policy   p = {0};
    const char *s = text;
    int         boundary = 1;                     /* after the function before: 1 seen (or none before) */
    skip(&s);
    if (!*s) OT_FAIL(OT_E_RANGE, "an empty policy, want one such as COS k1=0.05 l=100%% (or none)");
    if (!strcasecmp(s, "none")) {
        *out = p;
        return OT_OK;
    }
    for (; *s; skip(&s)) {
        if (p.n == OT_POLICY_PARTS) OT_FAIL(OT_E_RANGE, "more than %d functions, want %d at most", OT_POLICY_PARTS, OT_POLICY_PARTS);
        ot_policy_part *f = &p.part[p.n];
        OT_TRY(function(f, &s));
        if (!boundary)
            OT_FAIL(OT_E_RANGE, "%s before %s has no boundary, want @ and where it ends after it", ot_policy_name(p.part[p.n - 1].kind), ot_policy_name(f->kind));
        skip(&s);
        if ((boundary = *s == '@')) {
            for (s++; isspace((unsigned char)*s);) s++;
            OT_TRY(length(&p.until[p.n], &s, "boundary"));
        }
        p.n++;
    }
    if (boundary)
        OT_FAIL(OT_E_RANGE, "nothing stands after the boundary of %s, want the function that takes over", ot_policy_name(p.part[p.n - 1].kind));
    OT_TRY(ot_policy_check(&p));
    *out = p;
    return OT_OK;
}

/* ---- back to text ---- */

typedef struct text { char *at; size_t n; } text;        /* n: as if there were room without end */
__attribute__((format(printf, 2, 3))) static void add(text *t, const char *fmt, ...)
{
    va_list ap;
    const size_t room = t->n < OT_POLICY_TEXT ? OT_POLICY_TEXT - t->n : 0;
    va_start(ap, fmt);
    t->n += (size_t)vsnprintf(room ? t->at + t->n : NULL, room, fmt, ap);
    va_end(ap);
}

static void add_number(text *t, const char *before, double v)
{
    char digits[32];
    add(t, "%s%s", before, ot__number_text(digits, v));
}

static void add_span(text *t, const char *before, ot_span s)
{
    add_number(t, before, s.n);
    add(t, "%s", s.unit == OT_SPAN_PERCENT ? "%" : s.unit == OT_SPAN_EPOCHS ? "ep" : "");
}

static void add_part(text *t, const ot_policy_part *f, const char *before_first)
{
    const ot__policy_form *form = ot__policy_form_of(f->kind);
    const unsigned uses = form->needs | form->may;
    const char *gap = before_first;
    add(t, "%s", form->name);
    if (uses & OT__K0) add(t, "%s", gap), add_number(t, "k0=", f->k0), gap = " ";
    if (uses & OT__K1) add(t, "%s", gap), add_number(t, "k1=", f->k1), gap = " ";
    if (uses & OT__GAMMA) add_number(t, " gamma=", f->gamma);
    if (uses & OT__PER && !(f->per.n == 1 && f->per.unit == OT_SPAN_ITERATIONS)) add_span(t, "/", f->per);
    if (uses & OT__P) add_number(t, " p=", f->p);
    if (uses & OT__L) add_span(t, " l=", f->l);
    if (!(uses & OT__LIST)) return;
    for (int i = 0; i < f->n_steps; i++) add_span(t, i ? "," : " l=[", f->step[i]);
    add(t, "]");
}

size_t ot__policy_text(char out[OT_POLICY_TEXT], const ot_policy *p)
{
    text t = {out, 0};
    out[0] = 0;
    if (p->n == 0) add(&t, "none");
    if (p->n == 1) add_part(&t, &p->part[0], " ");
    for (int i = 0; p->n > 1 && i < p->n; i++) {
        add_part(&t, &p->part[i], "(");
        add(&t, ")");
        if (i < p->n - 1) add_span(&t, "@", p->until[i]), add(&t, ", ");
    }
    return t.n;
}

void ot_policy_write(char out[OT_POLICY_TEXT], const ot_policy *p)
{
    if (ot_policy_check(p) == OT_OK)
        ot__policy_text(out, p);
    else
        snprintf(out, OT_POLICY_TEXT, "?");
}
