/* build.h - what this build is: part of a campaign's identity. */
#ifndef OT_BASE_BUILD_H
#define OT_BASE_BUILD_H
const char *ot__build_commit(void);        /* "1a2b3c4", with "-dirty" where the tree had changes */
const char *ot__build_compiler(void);
#endif
