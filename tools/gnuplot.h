/* gnuplot.h - a picture by gnuplot: started, not linked. */
#ifndef OT_GNUPLOT_H
#define OT_GNUPLOT_H

#include "ohmtrim/base.h"

#include <stdio.h>

/* Writes commands and data; terminal and output are set. */
typedef void (*gnuplot_fn)(FILE *f, const void *user);
/* Whether a picture can be written there, before the work it shows is done.  OT_E_USAGE, OT_E_WRITE. */
ot_status gnuplot_check(const char *path);
/* FILE ends in .svg or .png.  gnuplot draws it beside its name, then it is renamed.  OT_E_USAGE, OT_E_TOOL, OT_E_WRITE. */
ot_status gnuplot_draw(const char *path, const char *size, gnuplot_fn script, const void *user);

#endif
