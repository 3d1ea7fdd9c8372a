/* A libcuda.so.1 on host memory that is stricter than a real one: it holds the code above it to CUDA's rules.

   - A context is current per thread, on a stack; nearly every call needs one and fails with 201 without.
   - Streams are lazy: copies and kernels wait until the stream is synchronised, so a missing synchronisation
     or a buffer that is reused too early gives wrong numbers here, every time.
   - Between begin and end of a capture work is recorded and not run; allocating while capturing is an error.
   - What lives is counted, for tests of leaks: see stand_in_count.
   A "kernel" is a function pointer with an argument, put on a stream with stand_in_launch. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uintptr_t P;
typedef void (*Kernel)(P);
enum { OK = 0, INVALID_VALUE = 1, NO_MEMORY = 2, NO_DEVICE = 100, INVALID_CONTEXT = 201, NOT_FOUND = 500,
       CAPTURE_INVALID = 901, NOT_CAPTURING = 902, CAPTURE_UNSUPPORTED = 900 };
enum { DEVICE_MEMORY, PINNED, STREAMS, EVENTS, GRAPHS, EXECS, RETAINED, LAUNCHES, COPIES, ALLOCATIONS,
       GRAPH_LAUNCHES, CONTEXT_DEPTH, KINDS };

typedef struct Op { int kind; void *to; const void *from; size_t bytes; Kernel kernel; P argument; } Op;
typedef struct Ops { Op *list; int count, room; } Ops;
typedef struct Stream { Ops ops; Ops *capture; int broken, mode; } Stream;
typedef struct Event { double ms; } Event;

static long counts[KINDS];
static __thread void *stack[64];
static __thread int top, capturing_here;   /* captures of this thread, in mode thread-local */
static int primary, capturing;             /* captures in mode global, which every thread must respect */

#define COUNT(kind, change) __atomic_add_fetch(&counts[kind], change, __ATOMIC_SEQ_CST)
#define NEED if (!top) return INVALID_CONTEXT
#define NO_CAPTURE if (capturing_here || __atomic_load_n(&capturing, __ATOMIC_SEQ_CST)) return CAPTURE_UNSUPPORTED

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e3 + t.tv_nsec / 1e6; }

/* ---- for tests */
long stand_in_count(int kind) { return kind == CONTEXT_DEPTH ? top : __atomic_load_n(&counts[kind], __ATOMIC_SEQ_CST); }

static int push(Ops *ops, Op op) {
    if (ops->count == ops->room) {
        ops->room = ops->room ? 2 * ops->room : 8;
        ops->list = realloc(ops->list, ops->room * sizeof(Op));
    }
    ops->list[ops->count++] = op;
    return OK;
}
static void run(const Ops *ops) {
    for (int i = 0; i < ops->count; ++i) {
        const Op *op = &ops->list[i];
        if (op->kind == 0) memcpy(op->to, op->from, op->bytes);
        else if (op->kind == 1) op->kernel(op->argument);
        else if (op->kind == 2) ((Event *)op->to)->ms = now();
        else { COUNT(GRAPH_LAUNCHES, 1); run((const Ops *)op->to); }
    }
}
static int flush(Stream *s) {
    if (!s) return INVALID_VALUE;
    if (s->capture) { s->broken = 1; return CAPTURE_UNSUPPORTED; }
    Ops mine = s->ops;
    memset(&s->ops, 0, sizeof(Ops));
    run(&mine);
    free(mine.list);
    return OK;
}
static int enqueue(Stream *s, Op op) { return s ? push(s->capture ? s->capture : &s->ops, op) : INVALID_VALUE; }
int stand_in_launch(Stream *s, Kernel kernel, P argument) {
    NEED;
    COUNT(LAUNCHES, 1);
    return enqueue(s, (Op){.kind = 1, .kernel = kernel, .argument = argument});
}
void stand_in_nothing(P argument) {}
int stand_in_is_capturing(Stream *s) { return s->capture != NULL; }

/* ---- device and contexts */
int cuInit(unsigned f) { return getenv("STAND_IN_NO_GPU") ? NO_DEVICE : OK; }
int cuDriverGetVersion(int *v) { *v = 12090; return OK; }
int cuDeviceGetCount(int *n) { *n = 1; return OK; }
int cuDeviceGet(int *d, int i) { *d = i; return i ? 101 : OK; }
int cuDeviceGetName(char *s, int n, int d) { snprintf(s, n, "Stand-in GPU"); return OK; }
int cuDeviceTotalMem_v2(size_t *n, int d) { *n = 8ul << 30; return OK; }
int cuDeviceComputeCapability(int *a, int *b, int d) { *a = 8; *b = 7; return OK; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 : a == 76 ? 7 : a == 18 ? 1 : 1024; return OK; }
int cuDeviceGetPCIBusId(char *s, int n, int d) { snprintf(s, n, "0000:00:00.0"); return OK; }
int cuDevicePrimaryCtxRetain(void **c, int d) { COUNT(RETAINED, 1); *c = &primary; return OK; }
int cuDevicePrimaryCtxRelease_v2(int d) { COUNT(RETAINED, -1); return OK; }
int cuCtxAttach(void **c, unsigned f) { NEED; *c = stack[top - 1]; return OK; }
int cuCtxPushCurrent_v2(void *c) { if (top == 64) return NO_MEMORY; stack[top++] = c; return OK; }
int cuCtxPopCurrent_v2(void **c) { NEED; --top; if (c) *c = stack[top]; return OK; }
int cuCtxGetCurrent(void **c) { *c = top ? stack[top - 1] : NULL; return OK; }
int cuCtxGetDevice(int *d) { NEED; *d = 0; return OK; }
int cuCtxSynchronize(void) { NEED; return OK; }
int cuCtxGetApiVersion(void *c, unsigned *v) { *v = 3020; return OK; }
int cuMemGetInfo_v2(size_t *f, size_t *t) { NEED; *f = 4ul << 30; *t = 8ul << 30; return OK; }

/* ---- memory; every block is poisoned, so that reading what nobody wrote gives NaN */
static int take(void **p, size_t n, int kind) {
    NEED;
    NO_CAPTURE;
    if (!n) return INVALID_VALUE;
    size_t room = (n + 255) & ~255ul;
    if (n > 6ul << 30 || !(*p = aligned_alloc(256, room))) return NO_MEMORY;
    memset(*p, 0xff, room);
    COUNT(kind, 1);
    COUNT(ALLOCATIONS, 1);
    return OK;
}
int cuMemAlloc_v2(P *p, size_t n) { return take((void **)p, n, DEVICE_MEMORY); }
int cuMemFree_v2(P p) { NEED; COUNT(DEVICE_MEMORY, -1); free((void *)p); return OK; }
int cuMemHostAlloc(void **p, size_t n, unsigned f) { return take(p, n, PINNED); }
int cuMemFreeHost(void *p) { NEED; COUNT(PINNED, -1); free(p); return OK; }
static int copy(void *to, const void *from, size_t n, Stream *s) {
    NEED;
    COUNT(COPIES, 1);
    return enqueue(s, (Op){.kind = 0, .to = to, .from = from, .bytes = n});
}
int cuMemcpyHtoDAsync_v2(P d, const void *s, size_t n, Stream *st) { return copy((void *)d, s, n, st); }
int cuMemcpyDtoHAsync_v2(void *d, P s, size_t n, Stream *st) { return copy(d, (void *)s, n, st); }

/* ---- streams and events */
int cuStreamCreate(Stream **s, unsigned f) { NEED; *s = calloc(1, sizeof(Stream)); COUNT(STREAMS, 1); return OK; }
int cuStreamDestroy_v2(Stream *s) { NEED; flush(s); free(s); COUNT(STREAMS, -1); return OK; }
int cuStreamSynchronize(Stream *s) { NEED; return flush(s); }
int cuStreamQuery(Stream *s) { NEED; return flush(s); }
int cuStreamWaitEvent(Stream *s, Event *e, unsigned f) { return OK; }
int cuEventCreate(Event **e, unsigned f) { NEED; *e = calloc(1, sizeof(Event)); COUNT(EVENTS, 1); return OK; }
int cuEventDestroy_v2(Event *e) { NEED; free(e); COUNT(EVENTS, -1); return OK; }
int cuEventRecord(Event *e, Stream *s) { NEED; return enqueue(s, (Op){.kind = 2, .to = e}); }
int cuEventElapsedTime(float *ms, Event *a, Event *b) { *ms = b->ms - a->ms; return OK; }
int cuEventElapsedTime_v2(float *ms, Event *a, Event *b) { return cuEventElapsedTime(ms, a, b); }

/* ---- graphs */
int cuStreamBeginCapture_v2(Stream *s, int mode) {
    NEED;
    if (s->capture) return INVALID_VALUE;
    s->capture = calloc(1, sizeof(Ops));
    s->broken = 0;
    s->mode = mode;
    if (mode == 1) ++capturing_here; else __atomic_add_fetch(&capturing, 1, __ATOMIC_SEQ_CST);
    return OK;
}
int cuStreamEndCapture(Stream *s, Ops **g) {
    NEED;
    *g = NULL;
    if (!s->capture) return NOT_CAPTURING;
    if (s->mode == 1) --capturing_here; else __atomic_sub_fetch(&capturing, 1, __ATOMIC_SEQ_CST);
    Ops *captured = s->capture;
    s->capture = NULL;
    if (s->broken) { free(captured->list); free(captured); return CAPTURE_INVALID; }
    *g = captured;
    COUNT(GRAPHS, 1);
    return OK;
}
int cuGraphDestroy(Ops *g) { free(g->list); free(g); COUNT(GRAPHS, -1); return OK; }
int cuGraphInstantiateWithFlags(Ops **e, Ops *g, unsigned long long f) {
    NEED;
    Ops *copy = calloc(1, sizeof(Ops));
    for (int i = 0; i < g->count; ++i) push(copy, g->list[i]);
    *e = copy;
    COUNT(EXECS, 1);
    return OK;
}
int cuGraphLaunch(Ops *e, Stream *s) { NEED; return enqueue(s, (Op){.kind = 3, .to = e}); }
int cuGraphExecDestroy(Ops *e) { NEED; free(e->list); free(e); COUNT(EXECS, -1); return OK; }

/* ---- the rest */
static const char *words(int e) {
    return e == INVALID_CONTEXT ? "invalid device context" : e == NO_DEVICE ? "no CUDA-capable device is detected"
         : e == NO_MEMORY ? "out of memory" : e == CAPTURE_INVALID ? "operation failed due to a previous error during capture"
         : e == CAPTURE_UNSUPPORTED ? "operation not permitted when stream is capturing" : "not supported by the stand-in";
}
int cuGetErrorString(int e, const char **s) { *s = words(e); return OK; }
int cuGetErrorName(int e, const char **s) { *s = e == NO_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_STAND_IN"; return OK; }
int cuGetProcAddress_v2(const char *name, void **f, int version, uint64_t flags, int *status) {
    static const char *endings[] = {"_v3", "_v2", "WithFlags", ""};
    *f = NULL;
    for (int i = 0; i < 4 && !*f; ++i) {
        char full[200];
        snprintf(full, sizeof full, "%s%s", name, endings[i]);
        *f = dlsym(RTLD_DEFAULT, full);
    }
    if (status) *status = *f ? 0 : 1;
    return *f ? OK : NOT_FOUND;
}
int cuGetProcAddress(const char *name, void **f, int version, uint64_t flags) { return cuGetProcAddress_v2(name, f, version, flags, NULL); }
#include "libcuda_rest.h" /* every other symbol that PyCUDA imports: CUDA_ERROR_NOT_SUPPORTED */
