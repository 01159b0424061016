/* plot_device.c - see plot_device.h.  gnuplot reads script and data from a pipe and writes a temporary file, renamed when whole. */
#include "plot_device.h"
#include "base/fail.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POINTS = 400 };

static void write_script(FILE *f, const ot_device *dev, const char *terminal, const char *path)
{
    fprintf(f, "set terminal %s size 800,560\nset output '", terminal);
    for (const char *c = path; *c; c++) fputs(*c == '\'' ? "''" : (char[]){*c, 0}, f);
    fprintf(f, "'\nset logscale y\nset grid\nset key left center\nset format y '%%g'\n"
               "set xlabel 'delta = gamma / gamma0 - 1'\nset ylabel 'conductance [uS]'\n");
    if (dev->valid_min > -dev->domain)
        fprintf(f,
                "set arrow from %.17g, graph 0 to %.17g, graph 1 nohead dashtype 2\n"
                "set label 'cells can be written' at %.17g, graph 0.03 left offset 1,0\n",
                dev->valid_min, dev->valid_min, dev->valid_min);
    fprintf(f, "plot '-' with lines linewidth 2 title 'LRS', '-' with lines linewidth 2 title 'HRS'\n");
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i <= POINTS; i++) {
            double delta = 1.2 * dev->domain * (2.0 * i / POINTS - 1);
            fprintf(f, "%.9g %.9g\n", delta, 1e6 * ot_device_conductance(dev, (ot_state)s, delta));
        }
        fputs("e\n", f);
    }
}

ot_status plot_device(const ot_device *dev, const char *path)
{
    char temporary[4096];
    struct stat s;
    const char *dot = strrchr(path, '.');
    const char *terminal = dot && !strcmp(dot, ".svg") ? "svg" : dot && !strcmp(dot, ".png") ? "pngcairo" : NULL;
    if (!terminal) OT_FAIL(OT_E_USAGE, "--plot '%s', want a name that ends in .svg or .png", path);
    if (snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid()) >= (int)sizeof temporary)
        OT_FAIL(OT_E_USAGE, "--plot has %zu bytes, want a shorter name", strlen(path));
    void (*was)(int) = signal(SIGPIPE, SIG_IGN); /* a gnuplot that is not there must not end us */
    FILE *f = popen("gnuplot >/dev/null 2>&1", "w");
    if (!f) {
        signal(SIGPIPE, was);
        OT_FAIL(OT_E_TOOL, "gnuplot cannot be started (%s), want it for --plot: apt-get install gnuplot-nox", strerror(errno));
    }
    write_script(f, dev, terminal, temporary);
    int rc = pclose(f);
    signal(SIGPIPE, was);
    if (rc != 0 || stat(temporary, &s) || s.st_size == 0) {
        unlink(temporary);
        OT_FAIL(
            OT_E_TOOL,
            "%s: gnuplot did not draw it (status %d), want gnuplot (apt-get install gnuplot-nox) and a folder that can be written",
            path, rc);
    }
    if (rename(temporary, path)) {
        ot_status st = ot__fail(OT_E_WRITE, __FILE__, __LINE__, "%s: %s", path, strerror(errno));
        unlink(temporary);
        return st;
    }
    return OT_OK;
}
