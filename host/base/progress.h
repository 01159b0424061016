/* progress.h - a line with count, rate and time left on stderr, when stderr is a terminal and progress is on; else nothing. */
#ifndef OT_BASE_PROGRESS_H
#define OT_BASE_PROGRESS_H

#include <stdint.h>

typedef struct ot_progress {
    const char *what;          /* "chips" */
    int64_t     total, done;
    double      start, last;   /* seconds, monotonic */
    int         on;
} ot_progress;

double ot__seconds(void);                                              /* monotonic clock */
void   ot__progress_enable(int on);                                    /* the command's -q turns it off; off in a library by default */
void   ot__progress_start(ot_progress *p, const char *what, int64_t total);
void   ot__progress_add(ot_progress *p, int64_t n, const char *note);  /* note may be NULL; redraws at most 5 times a second */
void   ot__progress_end(ot_progress *p);                               /* clears the line */

#endif
