/* lock.c - see lock.h.
 *
 * The kernel drops the lock when its holder dies, so a kill leaves at most a small file behind, which the next run takes over.  The
 * holder removes the file while it still has the lock; who got the lock of a file that is gone by then opens it anew. */
#include "campaign/lock.h"

#include "base/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* 1: ours; 0: another's; -1: errno */
static int try_lock(int fd)
{
    struct flock want = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!fcntl(fd, F_OFD_SETLK, &want)) return 1;
    return errno == EAGAIN || errno == EACCES ? 0 : -1;
}

static void write_holder(int fd)
{
    char text[256], host[128] = "?", when[32];
    time_t now = time(NULL);
    struct tm t;
    gethostname(host, sizeof host - 1);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &t));
    int n = snprintf(text, sizeof text, "process %ld on host %s since %s\n", (long)getpid(), host, when);
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n) return;      /* the lock holds without its text */
}

ot_status ot__lock_take(ot_lock *lock, const char *file)
{
    lock->fd = -1;
    if (snprintf(lock->path, sizeof lock->path, "%s.lock", file) >= (int)sizeof lock->path)
        OT_FAIL(OT_E_WRITE, "%.200s...: the name is too long", file);
    for (;;) {
        struct stat here, there;
        int fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) OT_FAIL(OT_E_WRITE, "%s: its lock %s cannot be made: %s", file, lock->path, strerror(errno));
        int got = try_lock(fd);
        if (got < 0) {
            int e = errno;
            close(fd);
            OT_FAIL(OT_E_WRITE, "%s: cannot be locked: %s", lock->path, strerror(e));
        }
        if (got == 0) {
            char who[256] = "";
            ssize_t n = pread(fd, who, sizeof who - 1, 0);
            who[n > 0 ? strcspn(who, "\n") : 0] = 0;
            close(fd);
            OT_FAIL(OT_E_LOCKED, "%s: %s writes to it, want one run at a time", file, who[0] ? who : "another process");
        }
        if (!fstat(fd, &here) && !stat(lock->path, &there) && here.st_ino == there.st_ino && here.st_dev == there.st_dev) {
            lock->fd = fd;
            write_holder(fd);
            return OT_OK;
        }
        close(fd);
    }
}

void ot__lock_drop(ot_lock *lock)
{
    if (lock->fd < 0) return;
    unlink(lock->path);
    close(lock->fd);
    lock->fd = -1;
}
