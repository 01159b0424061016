/* cpu_loops_16.c - sixteen channels at a time; the Makefile gives this file x86-64-v4 (AVX-512). */
#ifdef OT_CPU_X86
#define OT_LANES 16
#define OT_LOOPS ot__cpu_loops_16
#include "backend/cpu.h"
#include "backend/cpu_loops.h"
#else
typedef int ot__cpu_loops_16_is_for_x86_64;      /* an empty file is not C */
#endif
