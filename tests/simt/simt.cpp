/* simt.cpp - the engine of simt.h: fibers, the scheduler of a block, barriers, warp operations, shared memory.
 *
 * A block's threads are fibers 0..n-1, kept and used again.  `ready` holds those that can go on; a thread that waits at a barrier or in
 * a warp operation is in no list and comes back when the last one it waits for has come (or has ended: threads that ended do not
 * count, as on sm_70 and newer).  None ready and some alive is a deadlock.  The environment variable SIMT_SKIP=FILE:LINE makes the
 * barrier there do nothing (the mutation test); SIMT_SITES=PATH appends every barrier that was met to a file. */
#include "simt.h"
#include "control.h"

#include <algorithm>
#include <malloc.h>
#include <mutex>
#include <set>
#include <stdarg.h>
#include <stdexcept>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <sys/mman.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreReadsBegin(const char *, int);
extern "C" void AnnotateIgnoreReadsEnd(const char *, int);
extern "C" void AnnotateIgnoreWritesBegin(const char *, int);
extern "C" void AnnotateIgnoreWritesEnd(const char *, int);
#else
#define TSAN 0
#endif
#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace simt {

indices now;

namespace {

/* The emulator's own bookkeeping is no business of the race detector. */
struct quiet {
#if TSAN
    quiet() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__); }
    ~quiet() { AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
#else
    quiet() {}
    ~quiet() {}
#endif
};

constexpr size_t STACK = ASAN || TSAN ? 512 << 10 : 128 << 10, PAGE = 4096;

enum waiting { RUNNING, AT_BARRIER, AT_MEET, ENDED };

struct warp_meet {
    unsigned    mask = 0, arrived = 0, active[2] = {0, 0};
    const char *op = nullptr, *file = nullptr;
    int         line = 0;
    uint64_t    gen = 0, slot[2][32];
    char        sync[2];
};

struct fiber {
    void    *sp = nullptr;
    char    *stack = nullptr;
    void    *tsan = nullptr;
    waiting  state = ENDED;
    const char *file = nullptr;
    int      line = 0;
    uint64_t meet_gen = 0;
    int      meet_at = -1;
    unsigned meet_lanes = 0;
    void    *fake = nullptr;                    /* ASan's */
    bool     entered = false;
#ifndef __x86_64__
    ucontext_t context;
#endif
};

struct array { const char *key; void *at; size_t bytes; };

std::recursive_mutex           lock;
fiber                          fibers[1024];  /* never moved: a parked fiber knows its own address */
std::vector<int>               ready;
std::vector<std::vector<warp_meet>> meets;      /* by warp */
std::vector<array>             shared;
std::function<void()>          body;
std::string                    error_text;
int                            order, blocks_that_run, current, alive, n_threads, at_barrier;
uint64_t                       barrier_gen, random_state;
const char                    *barrier_file;
int                            barrier_line;
bool                           failed;
std::string                    failure;
int64_t                        n_launches;
fiber                          main_fiber;
#if ASAN
const void                    *main_bottom;
size_t                         main_size;
#endif
#if TSAN
char                           sync_start, sync_end, *sync_barrier;        /* two a block, by generation: a slow waker must not meet the next barrier */
#endif

uint64_t random_word()
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return random_state;
}

#ifdef __x86_64__
extern "C" void simt_switch(void **from, void *to);
asm(R"(
    .text
    .type simt_switch, @function
simt_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size simt_switch, .-simt_switch
)");
#endif

__attribute__((noinline)) void switch_stacks(fiber *from, fiber *to)
{
#if ASAN
    if (to == &main_fiber) __sanitizer_start_switch_fiber(&from->fake, main_bottom, main_size);
    else __sanitizer_start_switch_fiber(&from->fake, to->stack + PAGE, STACK);
#endif
#if TSAN
    __tsan_switch_to_fiber(to->tsan, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef __x86_64__
    simt_switch(&from->sp, to->sp);
#else
    swapcontext(&from->context, &to->context);
#endif
#if ASAN
    const void *bottom;
    size_t      size;
    __sanitizer_finish_switch_fiber(from->fake, &bottom, &size);
    if (from != &main_fiber) main_bottom = bottom, main_size = size;
#endif
}

void check_barrier();
void check_meets(int warp);

void run_thread()
{
    try {
#if TSAN
        __tsan_acquire(&sync_start);
#endif
        body();
#if TSAN
        __tsan_release(&sync_end);
#endif
    } catch (const std::exception &e) {
        quiet q;
        if (!failed) failed = true, failure = e.what();
    }
}

void fiber_main()
{
#if ASAN
    __sanitizer_finish_switch_fiber(nullptr, &main_bottom, &main_size);
#endif
    for (;;) {
        run_thread();
        {
            quiet q;
            fibers[current].state = ENDED;
            alive--;
            if (!failed) {
                check_barrier();
                check_meets(current / 32);
            }
        }
        switch_stacks(&fibers[current], &main_fiber);
    }
}

void prepare(fiber &f)
{
    if (!f.stack) {
        f.stack = (char *)mmap(nullptr, STACK + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (f.stack == MAP_FAILED) throw std::runtime_error("no memory for the stack of a CUDA thread");
        mprotect(f.stack, PAGE, PROT_NONE);
#ifdef __x86_64__
        void **top = (void **)(f.stack + PAGE + STACK);
        *--top = nullptr;                       /* fake return address: rsp is 8 mod 16 when fiber_main begins */
        *--top = (void *)&fiber_main;
        for (int i = 0; i < 6; i++) *--top = nullptr;
        f.sp = top;
#else
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack + PAGE, f.context.uc_stack.ss_size = STACK;
        makecontext(&f.context, fiber_main, 0);
#endif
    }
#if TSAN
    if (!f.tsan) f.tsan = __tsan_create_fiber(0);
#endif
}

/* After an error: threads stand where they are for good, their stacks are given back. */
void abandon()
{
    for (fiber &f : fibers) {
        if (!f.stack) continue;
#if ASAN
        __asan_unpoison_memory_region(f.stack + PAGE, STACK);
#endif
#if TSAN
        if (f.tsan && f.state != ENDED) {       /* what it did happened before the launch ended */
            __tsan_switch_to_fiber(f.tsan, __tsan_switch_to_fiber_no_sync);
            __tsan_release(&sync_end);
            __tsan_switch_to_fiber(main_fiber.tsan, __tsan_switch_to_fiber_no_sync);
        }
        f.tsan = nullptr;                       /* the detector keeps it */
#endif
        munmap(f.stack, STACK + PAGE);
        f.stack = nullptr;
    }
}

[[noreturn]] void fail_text(const std::string &s) { throw std::runtime_error(s); }

std::string site(const char *file, int line)
{
    const char *slash = file ? strrchr(file, '/') : nullptr;
    return std::string(slash ? slash + 1 : file ? file : "?") + ":" + std::to_string(line);
}

bool skipped(const char *file, int line)
{
    static const char *skip = getenv("SIMT_SKIP"), *sites = getenv("SIMT_SITES");
    if (sites) {
        static std::set<std::pair<const char *, int>> seen;
        if (seen.insert({file, line}).second)
            if (FILE *f = fopen(sites, "a")) {
                fprintf(f, "%s\n", site(file, line).c_str());
                fclose(f);
            }
    }
    return skip && site(file, line) == skip;
}

void wake(int t)
{
    fibers[t].state = RUNNING;
    if (order == SIMT_REVERSE) ready.insert(ready.begin(), t);
    else ready.push_back(t);
}

void check_barrier()
{
    if (!at_barrier || at_barrier != alive) return;
    at_barrier = 0;
    barrier_gen++;
    for (int t = 0; t < n_threads; t++)
        if (fibers[t].state == AT_BARRIER) wake(t);
}

unsigned lanes_alive(int warp)
{
    unsigned m = 0;
    for (int l = 0; l < 32 && warp * 32 + l < n_threads; l++)
        if (fibers[warp * 32 + l].state != ENDED) m |= 1u << l;
    return m;
}

void check_meets(int warp)
{
    unsigned living = lanes_alive(warp);
    for (warp_meet &m : meets[(size_t)warp]) {
        if (!m.arrived || (m.mask & living & ~m.arrived)) continue;
        m.active[m.gen & 1] = m.arrived;
        m.arrived = 0;
        m.gen++;
        for (int l = 0; l < 32 && warp * 32 + l < n_threads; l++) {
            fiber &f = fibers[warp * 32 + l];
            if (f.state == AT_MEET && &meets[(size_t)warp][(size_t)f.meet_at] == &m) wake(warp * 32 + l);
        }
    }
}

void wait() { switch_stacks(&fibers[current], &main_fiber); }

std::string deadlock()
{
    std::string s = "deadlock:";
    std::vector<std::pair<std::string, int>> at;
    for (int t = 0; t < n_threads; t++) {
        fiber &f = fibers[t];
        if (f.state == ENDED) continue;
        std::string what = std::string(f.state == AT_BARRIER ? "in __syncthreads at " : "in a warp operation at ") + site(f.file, f.line);
        auto i = std::find_if(at.begin(), at.end(), [&](auto &p) { return p.first == what; });
        if (i == at.end()) at.push_back({what, 1});
        else i->second++;
    }
    for (auto &p : at) s += " " + std::to_string(p.second) + " threads " + p.first + ";";
    return s;
}

int next_ready()
{
    size_t i = order == SIMT_REVERSE ? ready.size() - 1 : 0;
    if (order >= SIMT_RANDOM) i = random_word() % ready.size();
    int t = ready[i];
    ready.erase(ready.begin() + (ptrdiff_t)i);
    return t;
}

__attribute__((noinline)) void set_thread(int t)
{
    unsigned u = (unsigned)t;
    now.thread.x = u % now.block_dim.x, now.thread.y = u / now.block_dim.x % now.block_dim.y, now.thread.z = u / now.block_dim.x / now.block_dim.y;
}

void run_block()
{
    ready.clear();
    at_barrier = 0;
    alive = n_threads;
    meets.clear();                              /* the detector forgets what lay there: blocks do not order each other */
    meets.resize((size_t)(n_threads + 31) / 32);
    for (auto &m : meets) m.reserve(8);
    for (int t = 0; t < n_threads; t++) {
        fibers[t].state = RUNNING;
        ready.push_back(t);
    }
#if TSAN
    sync_barrier = (char *)malloc(16);
    /* Thread t of every block must not be one thread to the detector. */
    std::rotate(fibers, fibers + 1, fibers + n_threads);
#endif
    while (!failed && alive > 0) {
        if (ready.empty()) {
            failed = true;
            failure = deadlock();
            break;
        }
        current = next_ready();
        set_thread(current);
        switch_stacks(&main_fiber, &fibers[current]);
    }
    for (array &a : shared) free(a.at);
    shared.clear();
#if TSAN
    free(sync_barrier);
#endif
}

std::string check_launch(dim3 g, dim3 b, size_t shared_bytes)
{
    char s[160];
    unsigned long long threads = (unsigned long long)b.x * b.y * b.z;
    if (!g.x || !g.y || !g.z) snprintf(s, sizeof s, "empty grid %u x %u x %u", g.x, g.y, g.z);
    else if (g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535) snprintf(s, sizeof s, "grid %u x %u x %u, want at most 2^31-1 x 65535 x 65535", g.x, g.y, g.z);
    else if (threads < 1 || threads > 1024 || b.z > 64) snprintf(s, sizeof s, "block %u x %u x %u, want 1..1024 threads, z at most 64", b.x, b.y, b.z);
    else if (threads % 32) snprintf(s, sizeof s, "block of %llu threads, want whole warps", threads);
    else if (shared_bytes > 64u << 10) snprintf(s, sizeof s, "%zu bytes of dynamic shared memory, want at most 65536 (sm_75)", shared_bytes);
    else return "";
    return s;
}

void run_grid(dim3 g)
{
    uint64_t all = (uint64_t)g.x * g.y * g.z, n = all;
    if (blocks_that_run == SIMT_NO_BLOCKS) return;
    if (blocks_that_run == SIMT_END_BLOCKS && all > 2) n = 2;
    for (uint64_t k = 0; k < n && !failed; k++) {
        uint64_t i = order == SIMT_REVERSE ? n - 1 - k : k;
        if (n != all && i == 1) i = all - 1;
        now.block.x = (unsigned)(i % g.x), now.block.y = (unsigned)(i / g.x % g.y), now.block.z = (unsigned)(i / g.x / g.y);
        random_state = 0x9e3779b97f4a7c15u * (uint64_t)(order + 1) + i + 1;
        run_block();
    }
}

size_t dynamic_bytes;

}

int run_now(const std::function<void()> &thread, dim3 grid, dim3 block, size_t shared_bytes, const char *file, int line)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    quiet q;
    std::string bad = check_launch(grid, block, shared_bytes);
    n_launches++;
    if (!bad.empty()) {
        error_text = site(file, line) + ": " + bad;
        return cudaErrorInvalidConfiguration;
    }
    body = thread;
    dynamic_bytes = shared_bytes;
    now.block_dim = block, now.grid_dim = grid;
    n_threads = (int)(block.x * block.y * block.z);
    failed = false;
    for (int t = 0; t < n_threads; t++) prepare(fibers[t]);
#if TSAN
    if (!main_fiber.tsan) main_fiber.tsan = __tsan_get_current_fiber();
    __tsan_release(&sync_start);
#endif
    run_grid(grid);
    if (failed) abandon();
#if TSAN
    __tsan_acquire(&sync_end);
#endif
    body = nullptr;
    if (!failed) return cudaSuccess;
    error_text = site(file, line) + ": " + failure;
    return cudaErrorLaunchFailure;
}

int lane() { return (int)((now.thread.x + now.block_dim.x * (now.thread.y + now.block_dim.y * now.thread.z)) % 32); }

void fail(const char *format, ...)
{
    char s[400];
    va_list a;
    va_start(a, format);
    vsnprintf(s, sizeof s, format, a);
    va_end(a);
    fail_text(s);
}

void sync_threads(const char *file, int line)
{
#if TSAN
    uint64_t gen;
#endif
    {
        quiet q;
        if (skipped(file, line)) return;
        if (at_barrier && (barrier_file != file || barrier_line != line))
            fail_text("divergent barrier: threads of one block meet at " + site(barrier_file, barrier_line) + " and " + site(file, line));
        barrier_file = file, barrier_line = line;
#if TSAN
        gen = barrier_gen;
#endif
    }
#if TSAN
    __tsan_release(&sync_barrier[gen & 1]);
#endif
    {
        quiet q;
        fiber &f = fibers[current];
        f.state = AT_BARRIER, f.file = file, f.line = line;
        at_barrier++;
        check_barrier();
        wait();
    }
#if TSAN
    __tsan_acquire(&sync_barrier[gen & 1]);
#endif
}

/* Which of the warp's meets has this mask; masks in flight may not overlap. */
static int find_meet(unsigned mask, const char *op, const char *file, int line)
{
    int warp = current / 32, l = current % 32, found = -1;
    if (!(mask >> l & 1)) fail("%s: %s by lane %d, which is not in its mask %08x", site(file, line).c_str(), op, l, mask);
    std::vector<warp_meet> &all = meets[(size_t)warp];
    for (size_t i = 0; i < all.size(); i++) {
        if (all[i].mask == mask) found = (int)i;
        else if (all[i].arrived && (all[i].mask & mask))
            fail("%s: masks %08x and %08x of one warp overlap", site(file, line).c_str(), mask, all[i].mask);
    }
    if (found < 0) {
        if (all.size() == 8) fail("%s: more than 8 masks in one warp", site(file, line).c_str());
        all.push_back({});
        found = (int)all.size() - 1;
        all[(size_t)found].mask = mask;
    }
    warp_meet &m = all[(size_t)found];
    if (m.arrived && (strcmp(m.op, op) || m.line != line || m.file != file))
        fail("lanes of one warp meet at %s (%s) and %s (%s)", site(m.file, m.line).c_str(), m.op, site(file, line).c_str(), op);
    m.op = op, m.file = file, m.line = line;
    return found;
}

const uint64_t *meet(unsigned mask, const char *op, uint64_t value, const char *file, int line)
{
    quiet q;
    int at = find_meet(mask, op, file, line), warp = current / 32;
    warp_meet &m = meets[(size_t)warp][(size_t)at];
    fiber &f = fibers[current];
    uint64_t gen = m.gen;
    m.slot[gen & 1][current % 32] = value;
    m.arrived |= 1u << (current % 32);
    f.state = AT_MEET, f.file = file, f.line = line, f.meet_at = at;
    check_meets(warp);
    wait();
    f.meet_lanes = m.active[gen & 1];
    return m.slot[gen & 1];
}

unsigned meet_lanes() { return fibers[current].meet_lanes; }

void sync_warp(unsigned mask, const char *file, int line)
{
    char *sync = nullptr;
    {
        quiet q;
        if (skipped(file, line)) return;
#if TSAN
        warp_meet &m = meets[(size_t)(current / 32)][(size_t)find_meet(mask, "__syncwarp", file, line)];
        sync = &m.sync[m.gen & 1];
#endif
    }
#if TSAN
    __tsan_release(sync);
#endif
    meet(mask, "__syncwarp", 0, file, line);
#if TSAN
    __tsan_acquire(sync);
#else
    (void)sync;
#endif
}

static void *take_shared(const char *key, size_t bytes)
{
    for (array &a : shared)
        if (a.key == key) {
            if (a.bytes != bytes) fail("one shared array with two sizes, %zu and %zu bytes", a.bytes, bytes);
            return a.at;
        }
    void *p = memalign(128, bytes ? bytes : 1);
    memset(p, 0xff, bytes);
    shared.push_back({key, p, bytes});
    return p;
}

void *shared_array(const char *key, size_t bytes)
{
    quiet q;
    return take_shared(key, bytes);
}

void *dynamic_shared()
{
    static const char key = 0;
    quiet q;
    return take_shared(&key, dynamic_bytes);
}

}

extern "C" {

void        simt_order(int o) { simt::order = o; }
const char *simt_error(void) { return simt::error_text.c_str(); }
void        simt_clear(void) { simt::error_text.clear(); }
void        simt_blocks(int which) { simt::blocks_that_run = which; }
int64_t     simt_launches(void) { return simt::n_launches; }

}
