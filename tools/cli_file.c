/* cli_file.c - outputs that are tried before the work: hours must not end in a file that cannot be written. */
#include "base/fail.h"
#include "cli.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ot_status cli_check_writable(const char *path)
{
    char        name[4096];
    struct stat is;
    if (!*path) OT_FAIL(OT_E_USAGE, "'' cannot be written, want the name of a file");
    if (stat(path, &is) == 0 && !S_ISREG(is.st_mode)) OT_FAIL(OT_E_WRITE, "%s cannot be written: it is not a plain file", path);
    if (snprintf(name, sizeof name, "%s.try.%d", path, (int)getpid()) >= (int)sizeof name) OT_FAIL(OT_E_USAGE, "%.40s...: the name is too long", path);
    FILE *f = fopen(name, "wb");
    if (!f) OT_FAIL(OT_E_WRITE, "%s cannot be written: %s", path, strerror(errno));
    fclose(f);
    remove(name);
    return OT_OK;
}

int cli_same_file(const char *a, const char *b)
{
    struct stat one, other;
    if (!strcmp(a, b)) return 1;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}
