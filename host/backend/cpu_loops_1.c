/* cpu_loops_1.c - one channel at a time: tensors of at most four channels. */
#define OT_LANES 1
#define OT_LOOPS ot__cpu_loops_1
#include "backend/cpu.h"
#include "backend/cpu_loops.h"
