/* fuzz_database.c - campaign databases: any file gives results, a digest and arrays, or a failure, never a crash. */
#include "ohmtrim/campaign.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], npz[80], hex[65];
    ot_campaign_results *r;
    ot_yield y;
    snprintf(path, sizeof path, "/dev/shm/ohmtrim-fuzz-%ld.db", (long)getpid());
    snprintf(npz, sizeof npz, "%s.npz", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    close(fd);
    if (ot_campaign_results_read(&r, path) == OT_OK) {
        ot_campaign_yield(&y, r, 0.02);
        if (y.chips != r->n || y.flagged > r->n) abort();
        ot_campaign_results_free(r);
    }
    (void)ot_campaign_digest(path, hex);
    ot_campaign_learned      *l;
    ot_campaign_learn_options o = ot_campaign_learn_defaults();
    o.book.mender = OT_MENDER_NEAREST, o.book.clusters = 1;
    o.book.learn.predictor = ot_predictor_defaults(OT_PREDICTOR_RIDGE), o.book.learn.screen = ot_screen_defaults(OT_SCREEN_PCA_MCD);
    if (ot_campaign_learn(&l, path, &o) == OT_OK) {
        ot_verdicts v;
        (void)ot_campaign_learned_verdicts(&v, l, OT_RULE_000, 0.5);
        ot_campaign_learned_free(l);
    }
    (void)ot_campaign_export_npz(path, npz, NULL, OT_SIGNATURE_MOMENTS);
    unlink(npz);
    unlink(path);
    return 0;
}
