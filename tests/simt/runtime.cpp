/* runtime.cpp - a stand-in for the CUDA runtime on the CPU: the calls of cuda_runtime_api.h, done at once.
 *
 * Device memory is host memory of exactly the size asked for, aligned as a GPU's, full of 0xff (NaN).  While a stream is captured, calls
 * that a graph may hold are noted and run at each cudaGraphLaunch; calls that must not happen then fail.  Every call can be made to
 * fail (simt_fail_call).  Nothing is checked that a GPU would not check, but for leaks: simt_live counts what is held. */
#include "control.h"
#include "simt.h"

#include <atomic>
#include <malloc.h>
#include <map>
#include <mutex>
#include <stdlib.h>
#include <string>
#include <sys/mman.h>
#include <time.h>
#include <vector>

struct CUgraph_st { std::vector<std::function<int()>> calls; };
struct CUgraphExec_st { std::vector<std::function<int()>> calls; };
struct CUstream_st { CUgraph_st *capture; };
struct CUevent_st { double at; };

namespace simt { int run_now(const std::function<void()> &thread, dim3 grid, dim3 block, size_t shared_bytes, const char *file, int line); }

namespace {

std::recursive_mutex    lock;
std::map<void *, size_t> blocks;
size_t                  held_bytes, most_bytes;
int64_t                 calls, fail_at, live;
int                     fail_error, n_devices = 1, major = 9, minor = 0, driver = 13000, last_error, sparse;
CUstream_st            *capturing;
std::vector<float>      elapsed;

/* Counts a call; the error it is to fail with, or 0. */
int count()
{
    calls++;
    if (fail_at && calls >= fail_at) {
        fail_at = 0;
        return last_error = fail_error;
    }
    return 0;
}

cudaError_t give(int e)
{
    if (e) last_error = e;
    return (cudaError_t)e;
}

#define COUNTED                                     \
    std::lock_guard<std::recursive_mutex> hold(lock); \
    if (int e_ = count()) return (cudaError_t)e_

#define LOCKED std::lock_guard<std::recursive_mutex> hold(lock)       /* giving back never fails */

/* At once, or when the graph that is being captured runs. */
cudaError_t now_or_noted(std::function<int()> f)
{
    if (capturing) {
        capturing->capture->calls.push_back(f);
        return cudaSuccess;
    }
    return give(f());
}

}

namespace simt {

int run(std::function<void()> thread, dim3 grid, dim3 block, size_t shared_bytes, const char *file, int line)
{
    COUNTED;
    return now_or_noted([=] { return run_now(thread, grid, block, shared_bytes, file, line); });
}

}

extern "C" {

void    simt_fail_call(int64_t n, int error) { fail_at = n ? calls + n : 0, fail_error = error; }
int64_t simt_calls(void) { return calls; }
int64_t simt_live(void) { return live; }
void    simt_hold(int n) { live += n; }
void    simt_elapsed(const float *ms, int n) { elapsed.assign(ms, ms + n); }
void    simt_memory(size_t bytes) { most_bytes = bytes; }
void    simt_sparse(int on) { sparse = on; }
void    simt_device(int count, int a, int b, int d) { n_devices = count, major = a, minor = b, driver = d; }

const char *cudaGetErrorName(cudaError_t e)
{
    switch ((int)e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    default: return "cudaErrorUnknown";
    }
}

const char *cudaGetErrorString(cudaError_t e)
{
    switch ((int)e) {
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorLaunchFailure: case cudaErrorInvalidConfiguration: return *simt_error() ? simt_error() : "unspecified launch failure";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    default: return cudaGetErrorName(e);
    }
}

cudaError_t cudaGetLastError(void)
{
    int e = last_error;
    last_error = 0;
    return (cudaError_t)e;
}

cudaError_t cudaGetDeviceCount(int *n)
{
    COUNTED;
    *n = 0;
    if (driver < CUDART_VERSION / 1000 * 1000) return give(cudaErrorInsufficientDriver);
    if (!n_devices) return give(cudaErrorNoDevice);
    *n = n_devices;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    COUNTED;
    return give(device < 0 || device >= n_devices ? cudaErrorInvalidDevice : cudaSuccess);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    COUNTED;
    *p = {};
    strcpy(p->name, "CPU emulator");
    p->totalGlobalMem = most_bytes ? most_bytes : (size_t)8 << 30;
    p->major = major, p->minor = minor, p->multiProcessorCount = 4;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *v, enum cudaDeviceAttr a, int)
{
    COUNTED;
    *v = a == cudaDevAttrComputeCapabilityMajor ? major : a == cudaDevAttrComputeCapabilityMinor ? minor : a == cudaDevAttrMultiProcessorCount ? 4 : 64 << 10;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *v)
{
    COUNTED;
    *v = driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *v)
{
    COUNTED;
    *v = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    COUNTED;
    *total = most_bytes ? most_bytes : (size_t)8 << 30;
    *free_bytes = *total > held_bytes ? *total - held_bytes : 0;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    COUNTED;
    *p = nullptr;
    if (capturing) return give(cudaErrorStreamCaptureUnsupported);
    if (!bytes) return cudaSuccess;
    if (most_bytes && held_bytes + bytes > most_bytes) return give(cudaErrorMemoryAllocation);
    if (sparse) {
        *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (*p == MAP_FAILED) *p = nullptr;
    } else {
        *p = memalign(256, bytes);
        if (*p) memset(*p, 0xff, bytes);
    }
    if (!*p) return give(cudaErrorMemoryAllocation);
    blocks[*p] = sparse ? bytes | (size_t)1 << 63 : bytes;
    held_bytes += bytes, live++;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    LOCKED;
    if (!p) return cudaSuccess;
    auto i = blocks.find(p);
    if (i == blocks.end()) return give(cudaErrorInvalidValue);
    size_t bytes = i->second & ~((size_t)1 << 63);
    if (i->second >> 63) munmap(p, bytes);
    else free(p);
    held_bytes -= bytes, live--;
    blocks.erase(i);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind, cudaStream_t)
{
    COUNTED;
    return now_or_noted([=] {
        if (bytes) memmove(to, from, bytes);
        return 0;
    });
}

cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t)
{
    COUNTED;
    return now_or_noted([=] {
        if (bytes) memset(to, byte, bytes);
        return 0;
    });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    COUNTED;
    *s = new CUstream_st{nullptr};
    live++;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    LOCKED;
    delete s;
    live--;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    COUNTED;
    return give(s && s->capture ? cudaErrorStreamCaptureUnsupported : cudaSuccess);
}

cudaError_t cudaDeviceSynchronize(void)
{
    COUNTED;
    return give(capturing ? cudaErrorStreamCaptureUnsupported : cudaSuccess);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode)
{
    COUNTED;
    if (!s || capturing) return give(cudaErrorStreamCaptureUnsupported);
    s->capture = new CUgraph_st;
    capturing = s;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    std::lock_guard<std::recursive_mutex> hold(lock);
    *g = s->capture;
    s->capture = nullptr;
    capturing = nullptr;
    if (int e = count()) {
        delete *g;
        *g = nullptr;
        return (cudaError_t)e;
    }
    live++;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long)
{
    COUNTED;
    *e = new CUgraphExec_st{g->calls};
    live++;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t)
{
    COUNTED;
    for (auto &f : e->calls)
        if (int bad = f()) return give(bad);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e)
{
    LOCKED;
    delete e;
    live--;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    LOCKED;
    delete g;
    live--;
    return cudaSuccess;
}

static double seconds()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    COUNTED;
    *e = new CUevent_st{0};
    live++;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t)
{
    COUNTED;
    e->at = seconds();
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t)
{
    COUNTED;
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b)
{
    COUNTED;
    *ms = (float)((b->at - a->at) * 1e3);
    if (!elapsed.empty()) {
        *ms = elapsed.front();
        elapsed.erase(elapsed.begin());
    }
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    LOCKED;
    delete e;
    live--;
    return cudaSuccess;
}

}
