/* fuzz_spec.c - campaign specs: any bytes give a spec whose text reads back, or a failure, never a crash. */
#include "ohmtrim/campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ot_status read_bytes(ot_campaign_spec *s, const void *bytes, size_t n)
{
    char path[64];
    int fd = memfd_create("spec", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ot_status st = ot_campaign_spec_read(s, path);
    close(fd);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ot_campaign_spec s, t;
    char *text;
    if (read_bytes(&s, data, size) != OT_OK || ot_campaign_spec_check(&s) != OT_OK) return 0;
    if (ot_campaign_spec_text(&text, &s) != OT_OK) abort();
    if (read_bytes(&t, text, strlen(text)) != OT_OK || strcmp(s.network, t.network) || s.chips != t.chips || s.variation.seed != t.variation.seed) {
        fprintf(stderr, "%s\n%s\n", ot_last_error(), text);
        abort();
    }
    ot_free(text);
    return 0;
}
