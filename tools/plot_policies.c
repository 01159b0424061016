/* plot_policies.c - see plot_policies.h. */
#include "plot_policies.h"
#include "base/fail.h"
#include "gnuplot.h"

#include <math.h>

enum { POINTS = 1000 };

typedef struct curves { const ot_policy *given; ot_policy *resolved; int n, steps; } curves;

/* gnuplot's enhanced text is off: policies are shown as they are written. */
static void script(FILE *f, const void *user)
{
    const curves *c = user;
    char text[OT_POLICY_TEXT];
    fprintf(f, "set grid\nset key noenhanced above maxcols 1 samplen 2\nset offsets 0, 0, graph 0.04, 0\nset xlabel 'iteration'\nset ylabel 'learning rate'\nset xrange [0:%d]\nset yrange [0:*]\nplot ", c->steps);
    for (int i = 0; i < c->n; i++) {
        ot_policy_write(text, &c->given[i]);
        fprintf(f, "%s'-' with lines linewidth 2 dashtype %d title \"%s\"", i ? ", " : "", 1 + i / 8, text);
    }
    fputs("\n", f);
    for (int i = 0; i < c->n; i++) {
        const int points = c->steps < POINTS ? c->steps : POINTS;
        for (int k = 0; k <= points; k++) {
            const double t = (double)c->steps * k / points;
            fprintf(f, "%.9g %.9g\n", t, ot_policy_lr(&c->resolved[i], t));
        }
        fputs("e\n", f);
    }
}

ot_status plot_policies(const ot_policy *policies, int n, int steps, double epoch, const char *path)
{
    curves c = {policies, ot_alloc((size_t)n, sizeof *c.resolved), n, steps};
    ot_status st = OT_OK;
    if (!c.resolved) OT_NOMEM("curves", (size_t)n * sizeof *c.resolved);
    for (int i = 0; i < n && st == OT_OK; i++) st = ot_policy_for(&c.resolved[i], &policies[i], steps, epoch);
    if (st == OT_OK) st = gnuplot_draw(path, n > 6 ? "900,900" : "900,640", script, &c);
    ot_free(c.resolved);
    return st;
}
