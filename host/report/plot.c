/* plot.c - curves by gnuplot: a script is written beside the tables and run there, and stays, so that a figure can be changed by hand.
 *
 * Colours are those of Okabe and Ito, which the colour-blind can tell apart; each tuner has its own dash too. */
#include "report/report.h"

#include "base/fail.h"
#include "base/file.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *const colours[1 + OT_TUNERS] = {"#555555", "#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00",
                                                  "#CC79A7", "#56B4E9", "#8C6D31", "#7B4173", "#999933", "#882255", "#44AA99", "#DDCC77", "#6699CC"};
_Static_assert(OT_TUNERS == 14, "a colour for each tuner");

static const char head[] =
    "# Made by `ohmtrim report`.  Again: gnuplot plot.gp\n"
    "set datafile separator ','\n"
    "set encoding utf8\n"
    "set border 3 lc rgb '#444444'\n"
    "set tics nomirror out textcolor rgb '#222222'\n"
    "set grid lc rgb '#dddddd' lt 1 lw 0.7\n"
    "set key noenhanced Left reverse opaque box lc rgb '#dddddd' spacing 1.2\n";

/* Lines for all entries: column of entry e in the csv is `first` + e * `step`; with bands, its interval in the two columns after it. */
static ot_status add_curves(ot_text *t, const report *p, const char *csv, int first, int step)
{
    int n = p->r->n_tuners;
    OT_TRY(ot__text_add(t, "plot "));
    for (int e = 0; e <= n && step == 3; e++)
        OT_TRY(ot__text_add(t, "'%s' using 1:%d:%d with filledcurves fc rgb '%s' fs transparent solid 0.10 noborder notitle, \\\n     ", csv,
                            first + e * step + 1, first + e * step + 2, colours[e ? 1 + (int)p->r->tuners[e - 1] : 0]));
    for (int e = 0; e <= n; e++)
        OT_TRY(ot__text_add(t, "'%s' using 1:%d with lines lw 2.5 dt %d lc rgb '%s' title '%s'%s", csv, first + e * step, e ? 1 + (e - 1) % 4 : 1,
                            colours[e ? 1 + (int)p->r->tuners[e - 1] : 0], report__name(p, e), e < n ? ", \\\n     " : "\n"));
    return OT_OK;
}

/* A point a chip: accuracy untuned and with each tuner against delta_sys (paper 000, Fig. 1). */
static ot_status add_points(ot_text *t, const report *p, const char *terminal, const char *suffix)
{
    OT_TRY(ot__text_add(t, "\nset terminal %s size 900,600\nset output 'chips.%s'\n", terminal, suffix));
    OT_TRY(ot__text_add(t, "set title 'Every chip against its systematic variation'\nset xlabel 'systematic variation of gamma, %%'\nset ylabel 'accuracy, %%'\n"
                           "set xrange [*:*]\nset yrange [*:100]\nset xtics autofreq\nset ytics autofreq\nset key bottom center\nplot "));
    for (int e = 0; e <= p->r->n_tuners; e++)
        OT_TRY(ot__text_add(t, "'chips.csv' using (100*$2):%d with points pt %d ps 0.7 lc rgb '%s' title '%s'%s", 3 + e, e ? 4 + e : 7,
                            colours[e ? 1 + (int)p->r->tuners[e - 1] : 0], report__name(p, e), e < p->r->n_tuners ? ", \\\n     " : "\n"));
    return ot__text_add(t, "unset output\n");
}

static ot_status add_figure(ot_text *t, const report *p, const char *terminal, const char *suffix)
{
    const ot_campaign_results *r = p->r;
    double ideal = 100 * (double)r->ideal / (double)r->images;
    OT_TRY(ot__text_add(t, "\nset terminal %s size 900,600\nset output 'yield.%s'\n", terminal, suffix));
    OT_TRY(ot__text_add(t, "set title \"Yield of %d chips (oracle rule, bands: 95 %% intervals)\" noenhanced\n", r->n));
    OT_TRY(ot__text_add(t, "set xlabel 'accuracy a chip may lose, points below the ideal %.1f %%'\nset ylabel 'yield, %% of chips'\n", ideal));
    OT_TRY(ot__text_add(t, "set xrange [0:20]\nset yrange [0:100]\nset xtics 2\nset ytics 10\nset key bottom right\n"));
    OT_TRY(add_curves(t, p, "yield.csv", 3, 3));
    OT_TRY(ot__text_add(t, "\nset terminal %s size 1200,600\nset output 'accuracy.%s'\nset multiplot layout 1,2\nunset key\n", terminal, suffix));
    OT_TRY(ot__text_add(t, "set title 'Mean accuracy when chips below the threshold are tuned'\nset ylabel 'mean accuracy, %%'\n"
                           "set yrange [*:*]\nset ytics autofreq\n"));
    OT_TRY(add_curves(t, p, "accuracy.csv", 3, 1));
    OT_TRY(ot__text_add(t, "set title 'Every chip, untuned and tuned, best first'\nset xlabel 'chips, %%'\nset ylabel 'accuracy, %%'\n"
                           "set xrange [0:100]\nset xtics 10\nset key bottom left\n"));
    OT_TRY(add_curves(t, p, "sorted.csv", 2, 1));
    OT_TRY(ot__text_add(t, "unset multiplot\nunset output\n"));
    return add_points(t, p, terminal, suffix);
}

/* gnuplot's exit status, and the first line it complained with. */
static ot_status run_gnuplot(const char *dir)
{
    char *argv[] = {"gnuplot", "plot.gp", NULL}, said[512] = "";
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int ends[2], status = 0;
    if (pipe(ends)) OT_FAIL(OT_E_TOOL, "gnuplot: no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, dir);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
    int e = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (e) {
        close(ends[0]);
        OT_FAIL(OT_E_TOOL, "gnuplot: %s, want it in PATH for the curves (Debian: gnuplot-nox); the tables are in %s", strerror(e), dir);
    }
    size_t n = 0;
    char rest[256];
    for (ssize_t got; (got = read(ends[0], n < sizeof said - 1 ? said + n : rest, n < sizeof said - 1 ? sizeof said - 1 - n : sizeof rest)) != 0;) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) break;
        if (n < sizeof said - 1) n += (size_t)got;
    }
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return OT_OK;
    const char *line = said + strspn(said, "\n ");
    OT_FAIL(OT_E_TOOL, "gnuplot: failed with status %d on %s/plot.gp: %.*s", WIFEXITED(status) ? WEXITSTATUS(status) : -1, dir,
            (int)strcspn(line, "\n"), line);
}

ot_status report__plot(const report *p)
{
    static const char *const made[] = {"yield.svg", "yield.png", "accuracy.svg", "accuracy.png", "chips.svg", "chips.png"};
    char path[4200];
    struct stat s;
    ot_text t = {0};
    ot_status st = ot__text_add(&t, "%s", head);
    if (st == OT_OK) st = add_figure(&t, p, "svg font 'sans-serif,15' background 'white'", "svg");
    if (st == OT_OK) st = add_figure(&t, p, "pngcairo font 'sans-serif,12' background 'white'", "png");
    snprintf(path, sizeof path, "%.4000s/plot.gp", p->dir);
    if (st == OT_OK) st = ot__file_write(path, t.bytes, t.n);
    ot_free(t.bytes);
    OT_TRY(st);
    OT_TRY(run_gnuplot(p->dir));
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        snprintf(path, sizeof path, "%.4000s/%s", p->dir, made[i]);
        if (stat(path, &s) || s.st_size == 0) OT_FAIL(OT_E_TOOL, "gnuplot: left no %s (is the disk full?)", path);
    }
    return OT_OK;
}
