/* number.c - see number.h. */
#include "base/number.h"

#include <stdio.h>
#include <stdlib.h>

const char *ot__number_text(char out[OT__NUMBER_ROOM], double v)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, OT__NUMBER_ROOM, "%.*g", digits, v);
        if (strtod(out, NULL) == v) break;
    }
    return out;
}
