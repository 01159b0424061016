/* number.h - numbers as text that gives them back. */
#ifndef OT_BASE_NUMBER_H
#define OT_BASE_NUMBER_H

enum { OT__NUMBER_ROOM = 32 };
/* The shortest text that reads back to the same double, whole numbers of up to six digits without exponent.  Returns `out`. */
const char *ot__number_text(char out[OT__NUMBER_ROOM], double v);

#endif
