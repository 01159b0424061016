/* fuzz_trials.c - tables of trials: any bytes give trials of the task, each with answers that can be, or a failure; what is not cut off at
 * the end stays. */
#include "tune/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char          path[64];
    const ot_data judge = {.n = 32};
    ot_lab        lab = {.key = (char *)"tiny, of \"32\"", .points = 3, .file = -1, .task = {.steps = 6, .every = 4, .judge = &judge, .table = path, .tune.lr = 0.01}};
    int fd = memfd_create("trials", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ot_status st = ot__table_open(&lab);
    for (size_t i = 0; i < lab.n; i++) {
        const ot__trial *t = &lab.trial[i];
        for (int p = 0; p < lab.points; p++)
            if (t->right[p] < 0 || t->right[p] > judge.n) abort();
        if (ot__lab_find(&lab, t->candidate, t->chip) != t) abort();       /* none twice */
    }
    if (st == OT_OK) {                                                     /* what is written reads back */
        ot__trial t = {.candidate = "momentum 0.9 FIX(k0=0.1)@5, COS(k0=0 k1=0.1 l=50%)", .chip = 77, .images = 60, .right = (int64_t[]){1, 2, 32}};
        ot_lab    again = lab;
        if (ot__table_write(&lab, &t) != OT_OK) abort();
        again.trial = NULL, again.n = again.room = 0, again.file = -1;
        if (ot__table_open(&again) != OT_OK || again.n < 1 || !ot__lab_find(&again, t.candidate, 77)) {
            fprintf(stderr, "%s\n", ot_last_error());
            abort();
        }
        for (size_t i = 0; i < again.n; i++) ot_free(again.trial[i].right);
        ot_free(again.trial);
        if (again.file >= 0) close(again.file);
    }
    for (size_t i = 0; i < lab.n; i++) ot_free(lab.trial[i].right);
    ot_free(lab.trial);
    if (lab.file >= 0) close(lab.file);
    close(fd);
    return 0;
}
