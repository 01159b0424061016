/* draw_v4.c - the drawing loop for x86-64-v4 (AVX-512); the Makefile gives this file its instruction set. */
#ifdef OT_DRAW_X86
#define OT_DRAW ot__draw_v4
#define OT_NORMALS ot__normals_v4
#include "chip/draw_loop.h"
#else
typedef int ot__draw_v4_is_for_x86_64;      /* an empty file is not C */
#endif
