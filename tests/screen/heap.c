/* heap.c - a program of the test floor library alone: 10,000 chips judged on each recipe given, with malloc counted (heap.c's own
 * malloc stands before libc's, unless built with NO_COUNT for sanitizers): none may be called, and our own count must stand still. */
#include <ohmtrim/floor.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

static size_t calls;
#ifndef NO_COUNT
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t m);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t a, size_t n);
void *malloc(size_t n) { calls++; return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { calls++; return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { calls++; return __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { calls++; return __libc_memalign(a, n); }
#endif

static int run(const char *path)
{
    static float    signature[4096], gain[256], offset[256];
    ot_floor       *floor;
    ot_floor_result r;
    size_t          opening = calls;
    if (ot_floor_open(&floor, path) != OT_OK) {
        printf("%s\n", ot_last_error());
        return 1;
    }
    opening = calls - opening;
    const ot_layout *l = ot_floor_layout(floor);
    ot_memory        before = ot_memory_now();
    size_t           had = calls;
    int              failed = 0, count[OT_VERDICTS] = {0};
    if (l->length > 4096 || l->relus > 256) return 1;
    for (int i = 0; i < 10000; i++) {
        for (int k = 0; k < l->length; k++) signature[k] = (float)((i * 31 + k * 17) % 101) / 101;
        if (i % 1000 == 999) signature[i % l->length] = 0.0F / 0.0F;           /* refusing allocates nothing either */
        ot_floor_when when = i % 2 && ot_floor_judge(floor, OT_FLOOR_AFTER) ? OT_FLOOR_AFTER : OT_FLOOR_BEFORE;
        if (ot_floor_screen(floor, when, signature, &r, gain, offset) != OT_OK) failed++;
        else count[r.verdict]++;
    }
    ot_memory after = ot_memory_now();
    int       good = after.live_bytes == before.live_bytes && after.calls == before.calls && calls == had && failed == 10;
    ot_floor_free(floor);
    printf("%s: %zu calls of malloc to open, %zu in 10,000 chips (%d pass, %d tune, %d full-test, %d refused), %zu bytes live at the end\n", path, opening,
           calls - had, count[0], count[1], count[2], failed, ot_memory_now().live_bytes);
    return !(good && ot_memory_now().live_bytes == 0);
}

int main(int argc, char **argv)
{
    int bad = argc < 2;
    static char buffer[BUFSIZ];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    for (int i = 1; i < argc; i++) bad |= run(argv[i]);
    return bad;
}
