/* trial_table.c - trials as a CSV file: a line of names, then a line a trial.
 *
 *     task,optimizer,momentum,policy,steps,every,chip,judged,right,images,seconds
 *     "lenet5:...",adam,0,"COS k0=0 k1=0.02 l=100%",100,10,3,2000,1530 1790 1801,12800,0.91
 *
 * `right` lists the right answers of `judged` images at iteration 0, every, ... and the last.  Lines of other tasks are left alone.  A
 * line is written in one piece at the end of the file, so two runs may share it; one that a kill cut short has no line end and is
 * taken away when the file is opened next. */
#include "tune/lab.h"
#include "base/fail.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char names[] = "task,optimizer,momentum,policy,steps,every,chip,judged,right,images,seconds\n";
enum { FIELDS = 11, TASK = 0, OPTIMIZER, MOMENTUM, POLICY, STEPS, EVERY, CHIP, JUDGED, RIGHT, IMAGES, SECONDS };
enum { MOST_BYTES = 1 << 30 };

/* ---- reading ---- */

/* Cuts the line (its end is a 0) into fields where it lies; the number of them, FIELDS + 1 for more, -1 for quotes that do not go. */
static int cut(char *field[FIELDS], char *line)
{
    int n = 0;
    for (char *from = line;; from++) {
        char *to = from;
        if (n == FIELDS) return n + 1;
        field[n++] = to;
        if (*from == '"') {
            for (from++;; from++) {
                if (!*from) return -1;
                if (*from == '"' && *++from != '"') break;
                *to++ = *from;
            }
            if (*from && *from != ',') return -1;
        } else {
            from += strcspn(from, ",");
            to = from;
        }
        const int more = *from == ',';
        *to = 0;
        if (!more) return n;
    }
}

static int whole(int64_t *out, const char *text, int64_t least, int64_t most)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && !*end && !errno && *out >= least && *out <= most;
}

static int real(double *out, const char *text)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out) && *out >= 0;
}

/* The list of right answers: as many as points, each at most `judged`. */
static int answers(int64_t *right, int points, char *text, int64_t judged)
{
    for (int i = 0; i < points; i++) {
        size_t n = strcspn(text, " ");
        const int last = !text[n];
        text[n] = 0;
        if (!whole(&right[i], text, 0, judged) || last != (i == points - 1)) return 0;
        text += n + 1;
    }
    return 1;
}

static ot_status line_read(ot_lab *lab, char *text, int number)
{
    const ot_trial_task *task = &lab->task;
    char     *field[FIELDS], own[OT__CANDIDATE_TEXT];
    int64_t   steps, every, chip, judged;
    ot_candidate c = {0};
    ot__trial t = {0};
#define BAD(what) OT_FAIL(OT_E_FORMAT, "%s: line %d: %s", task->table, number, what)
    int n = cut(field, text);
    if (n != FIELDS) BAD(n < 0 ? "quotes that do not close, want \"...\" around a field with commas" : "not 11 fields, want those of the first line");
    if (!whole(&steps, field[STEPS], 1, INT32_MAX) || !whole(&every, field[EVERY], 1, INT32_MAX) || !whole(&chip, field[CHIP], 0, UINT32_MAX) ||
        !whole(&judged, field[JUDGED], 1, INT32_MAX) || !real(&t.images, field[IMAGES]) || !real(&t.seconds, field[SECONDS]) ||
        !real(&c.momentum, field[MOMENTUM]))
        BAD("a number is none or out of range, want steps, every, chip, judged, images, seconds, momentum as this program writes them");
    if (strcmp(field[TASK], lab->key) || steps != task->steps || every != task->every || judged != task->judge->n) return OT_OK;
    if (ot_optimizer_parse(&c.optimizer, &(double){0}, field[OPTIMIZER]) != OT_OK || ot_policy_read(&c.policy, field[POLICY]) != OT_OK || c.momentum >= 1)
        return ot__fail_prefix(OT_E_FORMAT, "%s: line %d: ", task->table, number);
    ot__candidate_text(own, lab, &c);
    if (ot__lab_find(lab, own, (uint32_t)chip)) return OT_OK;
    memcpy(t.candidate, own, sizeof own);
    t.chip = (uint32_t)chip;
    t.right = ot_alloc((size_t)lab->points, sizeof *t.right);
    if (!t.right) OT_NOMEM("a trial", (size_t)lab->points * sizeof *t.right);
    if (!answers(t.right, lab->points, field[RIGHT], judged)) {
        ot_free(t.right);
        BAD("right answers are not one number an iteration counted, want as many as steps / every and one, none above judged");
    }
#undef BAD
    return ot__lab_add(lab, &t);
}

static ot_status lines_read(ot_lab *lab, char *text, size_t *whole_bytes)
{
    size_t    first = strlen(names);
    int       number = 2;
    ot_status st = OT_OK;
    *whole_bytes = 0;
    if (strlen(text) < first && !strncmp(text, names, strlen(text))) return OT_OK;      /* empty, or killed at its first line */
    if (strncmp(text, names, first))
        OT_FAIL(OT_E_FORMAT, "%s: no table of trials: its first line is not %.*s", lab->task.table, (int)first - 1, names);
    char *line = text + first;
    for (char *end; st == OT_OK && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        st = line_read(lab, line, number++);
    }
    *whole_bytes = (size_t)(line - text);
    return st;
}

ot_status ot__table_open(ot_lab *lab)
{
    const char *path = lab->task.table;
    char       *text = NULL;
    size_t      n = 0, keep = 0;
    struct stat s;
    ot_status   st = OT_OK;
    lab->file = -1;
    if (!path) return OT_OK;
    if (ot__file_exists(path)) {
        OT_TRY(ot__file_read((void **)&text, &n, path, MOST_BYTES));
        st = strlen(text) == n ? lines_read(lab, text, &keep) : ot__fail(OT_E_FORMAT, __FILE__, __LINE__, "%s: has 0 bytes, want a text", path);
        ot_free(text);
        OT_TRY(st);
    }
    lab->file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (lab->file < 0) OT_FAIL(OT_E_WRITE, "%s: %s", path, strerror(errno));
    /* only what was read and found cut short: another run may have added lines since */
    if (n > keep && (fstat(lab->file, &s) || (s.st_size == (off_t)n && ftruncate(lab->file, (off_t)keep))))
        OT_FAIL(OT_E_WRITE, "%s: %s", path, strerror(errno));
    if (!keep && write(lab->file, names, strlen(names)) != (ssize_t)strlen(names)) OT_FAIL(OT_E_WRITE, "%s: %s", path, strerror(errno));
    return OT_OK;
}

/* ---- writing ---- */

/* In quotes, those within twice. */
static size_t quoted(char *to, const char *text)
{
    char *p = to;
    *p++ = '"';
    for (; *text; text++) {
        if (*text == '"') *p++ = '"';
        *p++ = *text;
    }
    *p++ = '"';
    return (size_t)(p - to);
}

ot_status ot__table_write(const ot_lab *lab, const ot__trial *t)
{
    if (lab->file < 0) return OT_OK;
    const ot_trial_task *task = &lab->task;
    char   optimizer[16], momentum[32], *policy = strchr(strchr(t->candidate, ' ') + 1, ' ') + 1;
    size_t room = 2 * strlen(lab->key) + 2 * OT__CANDIDATE_TEXT + 24 * (size_t)lab->points + 256;
    char  *line = ot_alloc(room, 1), *p = line;
    if (!line) OT_NOMEM("a line of the table", room);
    sscanf(t->candidate, "%15s %31s", optimizer, momentum);
    p += quoted(p, lab->key);
    p += sprintf(p, ",%s,%s,", optimizer, momentum);
    p += quoted(p, policy);
    p += sprintf(p, ",%d,%d,%" PRIu32 ",%d,", task->steps, task->every, t->chip, task->judge->n);
    for (int i = 0; i < lab->points; i++) p += sprintf(p, "%s%" PRId64, i ? " " : "", t->right[i]);
    p += sprintf(p, ",%.0f,%.4f\n", t->images, t->seconds);
    const ssize_t n = p - line, done = write(lab->file, line, (size_t)n);
    ot_free(line);
    if (done != n) OT_FAIL(OT_E_WRITE, "%s: %s", task->table, done < 0 ? strerror(errno) : "no space for a whole line");
    return OT_OK;
}
