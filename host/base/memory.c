/* memory.c - the counted allocator.
 *
 * Each block has a 64-byte head with its size, so that counts of live bytes are exact and the block itself is aligned
 * for vector loads.  Tests make the n-th call fail; counters are atomic because chips run in parallel threads. */
#include "fail.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 64 };

static atomic_size_t live, peak, live_bytes, peak_bytes, calls, fail_at;

static void raise_peak(atomic_size_t *top, size_t now)
{
    size_t old = atomic_load(top);
    while (old < now && !atomic_compare_exchange_weak(top, &old, now)) {}
}

static int injected(void)
{
    atomic_fetch_add(&calls, 1);
    size_t n = atomic_load(&fail_at);
    while (n > 0)
        if (atomic_compare_exchange_weak(&fail_at, &n, n - 1)) return n == 1;
    return 0;
}

void *ot_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (injected() || __builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2) return NULL;
    size_t total = (bytes + HEAD + 63) / 64 * 64;
    char *head = aligned_alloc(64, total);
    if (!head) return NULL;
    memset(head, 0, total);
    memcpy(head, &bytes, sizeof bytes);
    raise_peak(&peak, atomic_fetch_add(&live, 1) + 1);
    raise_peak(&peak_bytes, atomic_fetch_add(&live_bytes, bytes) + bytes);
    return head + HEAD;
}

static size_t bytes_of(void *p)
{
    size_t bytes;
    memcpy(&bytes, (char *)p - HEAD, sizeof bytes);
    return bytes;
}

void *ot_realloc(void *p, size_t count, size_t size)
{
    void *q = ot_alloc(count, size);
    if (!q || !p) return q;
    size_t old = bytes_of(p), now = bytes_of(q);
    memcpy(q, p, old < now ? old : now);
    ot_free(p);
    return q;
}

char *ot_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = ot_alloc(n, 1);
    return p ? memcpy(p, s, n) : NULL;
}

void ot_free(void *p)
{
    if (!p) return;
    atomic_fetch_sub(&live, 1);
    atomic_fetch_sub(&live_bytes, bytes_of(p));
    free((char *)p - HEAD);
}

ot_memory ot_memory_now(void)
{
    return (ot_memory){atomic_load(&live), atomic_load(&peak), atomic_load(&live_bytes), atomic_load(&peak_bytes),
                       atomic_load(&calls)};
}

void ot_memory_reset_peak(void)
{
    atomic_store(&peak, atomic_load(&live));
    atomic_store(&peak_bytes, atomic_load(&live_bytes));
}

void ot_memory_fail_at(size_t n) { atomic_store(&fail_at, n); }
