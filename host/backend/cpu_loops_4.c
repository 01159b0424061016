/* cpu_loops_4.c - four channels at a time: any processor of the target. */
#define OT_LANES 4
#define OT_LOOPS ot__cpu_loops_4
#include "backend/cpu.h"
#include "backend/cpu_loops.h"
