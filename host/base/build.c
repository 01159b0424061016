/* build.c - see build.h. */
#include "build.h"

const char *ot__build_commit(void)
{
    return
#include "commit.inc"
        ;
}

const char *ot__build_compiler(void) { return "cc " __VERSION__; }
