/* knob.c - knobs as the 16-bit fixed-point codes of a chip's registers (floor.h has the format). */
#include "ohmtrim/floor.h"

#include <math.h>

/* steps a unit; lowest and highest code as a number; the neutral knob's */
static const struct { double steps, least, most, neutral; } formats[] = {
    [OT_KNOB_GAIN] = {4096, 64, 65535, 4096},
    [OT_KNOB_OFFSET] = {256, -32768, 32767, 0},
};

uint16_t ot_knob_code(ot_knob which, float value, int *clamped)
{
    double least = formats[which].least, most = formats[which].most, code = rint((double)value * formats[which].steps);
    if (!(code >= least && code <= most)) {
        ++*clamped;
        code = isnan(value) ? formats[which].neutral : code < least ? least : most;
    }
    return (uint16_t)(int)code;
}

float ot_knob_value(ot_knob which, uint16_t code)
{
    int v = which == OT_KNOB_OFFSET && code > 32767 ? code - 65536 : code;
    return (float)(v / formats[which].steps);
}
