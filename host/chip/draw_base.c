/* draw_base.c - the drawing loop for any processor of the target. */
#define OT_DRAW ot__draw_base
#define OT_NORMALS ot__normals_base
#include "chip/draw_loop.h"
