/* cpu_loops_8.c - eight channels at a time; the Makefile gives this file x86-64-v3 (AVX2, FMA). */
#ifdef OT_CPU_X86
#define OT_LANES 8
#define OT_LOOPS ot__cpu_loops_8
#include "backend/cpu.h"
#include "backend/cpu_loops.h"
#else
typedef int ot__cpu_loops_8_is_for_x86_64;      /* an empty file is not C */
#endif
