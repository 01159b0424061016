/* tune_casebook.h - the casebook of `ohmtrim tune`, and the images that its chips were shown. */
#ifndef OT_TUNE_CASEBOOK_H
#define OT_TUNE_CASEBOOK_H

#include "cli.h"

typedef struct tune_stimulus { ot_data images; uint32_t *index; } tune_stimulus;      /* all of its images: index is 0, 1, ... */
void tune_stimulus_free(tune_stimulus *s);
/* Ten test images as a campaign draws them. */
ot_status tune_stimulus_random(tune_stimulus *s, const ot_data *test, uint64_t seed);
/* From what `campaign export --npz` writes, checked against the network and the test images. */
ot_status tune_casebook_open(ot_casebook **cb, tune_stimulus *s, const ot_network *net, const ot_data *test, const char *path, int clusters);

#endif
