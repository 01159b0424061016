/* gnuplot.c - see gnuplot.h.  gnuplot reads script and data from a pipe and writes a temporary file, renamed when whole. */
#include "gnuplot.h"
#include "base/fail.h"
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *terminal_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && !strcmp(dot, ".svg") ? "svg" : dot && !strcmp(dot, ".png") ? "pngcairo" : NULL;
}

ot_status gnuplot_check(const char *path)
{
    if (!terminal_of(path)) OT_FAIL(OT_E_USAGE, "--plot '%s', want a name that ends in .svg or .png", path);
    return cli_check_writable(path);
}

ot_status gnuplot_draw(const char *path, const char *size, gnuplot_fn script, const void *user)
{
    char temporary[4096];
    struct stat s;
    const char *terminal = terminal_of(path);
    OT_TRY(gnuplot_check(path));
    if (snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid()) >= (int)sizeof temporary)
        OT_FAIL(OT_E_USAGE, "--plot has %zu bytes, want a shorter name", strlen(path));
    void (*was)(int) = signal(SIGPIPE, SIG_IGN); /* a gnuplot that is not there must not end us */
    FILE *f = popen("gnuplot >/dev/null 2>&1", "w");
    if (!f) {
        signal(SIGPIPE, was);
        OT_FAIL(OT_E_TOOL, "gnuplot cannot be started (%s), want it for --plot: apt-get install gnuplot-nox", strerror(errno));
    }
    fprintf(f, "set terminal %s size %s\nset output '", terminal, size);
    for (const char *c = temporary; *c; c++) fputs(*c == '\'' ? "''" : (char[]){*c, 0}, f);
    fprintf(f, "'\n");
    script(f, user);
    int rc = pclose(f);
    signal(SIGPIPE, was);
    if (rc != 0 || stat(temporary, &s) || s.st_size == 0) {
        unlink(temporary);
        OT_FAIL(
            OT_E_TOOL,
            "%s: gnuplot did not draw it, want gnuplot (apt-get install gnuplot-nox) and room for the file", path);
    }
    if (rename(temporary, path)) {
        ot_status st = ot__fail(OT_E_WRITE, __FILE__, __LINE__, "%s: %s", path, strerror(errno));
        unlink(temporary);
        return st;
    }
    return OT_OK;
}
