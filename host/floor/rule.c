/* rule.c - from a predicted accuracy to a verdict (DESIGN 2: rule, verdict). */
#include "floor/names.h"

ot_verdict ot_rule_verdict(const ot_rule *r, double predicted, int outlier, int tuned)
{
    if (outlier || predicted != predicted) return OT_VERDICT_FULL_TEST;
    if (predicted >= r->cutoff + (tuned ? r->guard_after : r->guard)) return OT_VERDICT_PASS;
    if (tuned || (r->kind == OT_RULE_002 && predicted > r->cutoff - r->guard)) return OT_VERDICT_FULL_TEST;
    return OT_VERDICT_TUNE;
}

ot_verdict ot_rule_full_test(const ot_rule *r, double accuracy, int tuned)
{
    if (accuracy >= r->cutoff) return OT_VERDICT_PASS;
    return tuned ? OT_VERDICT_REJECT : OT_VERDICT_TUNE;
}

static const char *const verdicts[] = {"pass", "tune", "full-test", "reject"};
const char *ot_verdict_name(ot_verdict v) { return ot__name_of(verdicts, OT_VERDICTS, (int)v); }

static const char *const rules[] = {"000", "002", "conformal"};
const char *ot_rule_name(ot_rule_kind kind) { return ot__name_of(rules, OT_RULES, (int)kind); }

ot_status ot_rule_parse(ot_rule_kind *out, const char *name)
{
    int       i;
    ot_status st = ot__name_parse(&i, rules, OT_RULES, "rule", name);
    if (st == OT_OK) *out = (ot_rule_kind)i;
    return st;
}
