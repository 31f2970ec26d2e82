/* Stream captures of every kind, with allocations and frees around them; which kind, the command line
 * says. With cupool, it is also asked for everything that it can be asked for meanwhile. What is
 * captured must run, and see its own memory. */
#include "drv.h"

#include <pthread.h>
#include <signal.h>

#include "cupool.h"

#pragma weak empty_cache
#pragma weak cupool_stats_dump

enum { WORDS = 1 << 16, STREAMS = 3 };

static CUcontext context;

static CUdeviceptr allocate(size_t bytes)
{
    CUdeviceptr p;
    OK(cuMemAlloc(&p, bytes));
    return p;
}

static CUstream new_stream(void)
{
    CUstream stream;
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    return stream;
}

static void exchange(CUstreamCaptureMode *mode)
{
    OK(cuThreadExchangeStreamCaptureMode(mode));
}

static unsigned first(CUdeviceptr p)
{
    unsigned word = 0;
    OK(cuMemcpyDtoH(&word, p, 4));
    return word;
}

/* Allocates and frees, as a relaxed thread may at any time. */
static void churn(void)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    exchange(&mode);
    for (int i = 0; i < 3; i++) {
        CUdeviceptr small = allocate(1000), large = allocate(3 * MIB);
        OK(cuMemFree(large));
        OK(cuMemFree(small));
    }
    exchange(&mode);
}

static void run(const char *what, CUgraph graph, CUstream stream, CUdeviceptr target)
{
    CUgraphExec executable;
    OK(cuGraphInstantiateWithFlags(&executable, graph, 0));
    OK(cuGraphLaunch(executable, stream));
    OK(cuStreamSynchronize(stream));
    printf("%s: %u\n", what, first(target));
    OK(cuGraphExecDestroy(executable));
}

/* Three captures at once, one of each mode, ended in another order than begun. */
static void several(void)
{
    CUstream streams[STREAMS];
    CUdeviceptr targets[STREAMS];
    CUgraph graphs[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = new_stream();
        targets[i] = allocate(WORDS * 4);
    }
    for (int i = 0; i < STREAMS; i++) {
        OK(cuStreamBeginCapture(streams[i], (CUstreamCaptureMode)i));
        drv_fill(targets[i], WORDS, 10 + (unsigned)i, 0, streams[i]);
        churn();
    }
    for (int i = STREAMS - 1; i >= 0; i--) {
        churn();
        SHOW(cuStreamEndCapture(streams[i], &graphs[i]));
    }
    churn();
    for (int i = 0; i < STREAMS; i++)
        run("several", graphs[i], streams[i], targets[i]);
}

static CUstream begun;
static CUdeviceptr begun_target;
static pthread_barrier_t tried;

/* Begins a capture, and tries to end it unless another thread could. */
static void *begin_there(void *mode)
{
    CUgraph graph = NULL;
    OK(cuCtxSetCurrent(context));
    OK(cuStreamBeginCapture(begun, (CUstreamCaptureMode)(uintptr_t)mode));
    drv_fill(begun_target, WORDS, 20 + (unsigned)(uintptr_t)mode, 0, begun);
    pthread_barrier_wait(&tried);
    pthread_barrier_wait(&tried);
    if ((uintptr_t)mode != CU_STREAM_CAPTURE_MODE_RELAXED) {
        CUresult result = cuStreamEndCapture(begun, &graph);
        printf("then ended where it began: %d\n", (int)result);
        if (result == CUDA_SUCCESS)
            run("ended where it began", graph, begun, begun_target);
    }
    return NULL;
}

/* Begun in another thread, ended here; only what is relaxed can be. */
static void elsewhere(void)
{
    begun_target = allocate(WORDS * 4);
    OK(pthread_barrier_init(&tried, NULL, 2));
    for (uintptr_t mode = 0; mode < 3; mode++) {
        pthread_t thread;
        CUgraph graph = NULL;
        begun = new_stream();
        OK(pthread_create(&thread, NULL, begin_there, (void *)mode));
        pthread_barrier_wait(&tried);
        churn();
        CUresult result = cuStreamEndCapture(begun, &graph);
        printf("mode %d ended elsewhere: %d\n", (int)mode, (int)result);
        fflush(stdout);
        churn();
        pthread_barrier_wait(&tried);
        OK(pthread_join(thread, NULL));
        if (result == CUDA_SUCCESS)
            run("elsewhere", graph, begun, begun_target);
        OK(cuStreamDestroy(begun));
        churn();
    }
    OK(cuMemFree(begun_target));
}

/* Spoilt by a call that no capture survives. */
static void spoilt(void)
{
    CUstream stream = new_stream();
    CUdeviceptr target = allocate(WORDS * 4);
    CUgraph graph = NULL;
    CUstreamCaptureStatus status;
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    drv_fill(target, WORDS, 30, 0, stream);
    churn();
    SHOW(cuStreamSynchronize(stream));
    OK(cuStreamIsCapturing(stream, &status));
    printf("status %d\n", (int)status);
    churn();
    SHOW(cuStreamEndCapture(stream, &graph));
    OK(cuStreamIsCapturing(stream, &status));
    printf("status %d, %s\n", (int)status, graph == NULL ? "no graph" : "a graph");
    drv_fill(target, WORDS, 31, 0, stream);
    OK(cuMemFree(allocate(MIB)));
    OK(cuStreamSynchronize(stream));
    printf("goes on: %u\n", first(target));
}

/* Graphs that are put together, changed, and run again after what they do not use was freed; what one
 * uses is freed while it runs. */
static void graphs(void)
{
    CUstream stream = new_stream(), other = new_stream();
    CUdeviceptr a = allocate(WORDS * 4), b = allocate(WORDS * 4), unused = allocate(WORDS * 4);
    CUgraph whole, part, changed;
    CUgraphNode node;
    CUgraphExec executable;
    CUgraphExecUpdateResultInfo result;

    OK(cuGraphCreate(&whole, 0));
    OK(cuStreamBeginCaptureToGraph(stream, whole, NULL, NULL, 0, CU_STREAM_CAPTURE_MODE_RELAXED));
    drv_fill(a, WORDS, 40, 0, stream);
    OK(cuMemFree(unused));
    churn();
    OK(cuStreamEndCapture(stream, &part));
    printf("%s graph\n", part == whole ? "the same" : "another");
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    drv_fill(b, WORDS, 41, 0, stream);
    OK(cuStreamEndCapture(stream, &part));
    OK(cuGraphAddChildGraphNode(&node, whole, NULL, 0, part));
    run("whole", whole, stream, a);
    printf("child: %u\n", first(b));

    OK(cuGraphInstantiateWithFlags(&executable, part, 0));
    for (unsigned round = 0; round < 3; round++) {
        CUdeviceptr filler = allocate(WORDS * 4), target = allocate(WORDS * 4);
        OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
        drv_fill(target, WORDS, 50 + round, LATE / 10, stream);
        OK(cuStreamEndCapture(stream, &changed));
        OK(cuGraphExecUpdate(executable, changed, &result));
        OK(cuGraphLaunch(executable, stream));
        OK(cuMemFree(filler));
        /* The graph still writes there; what comes into its place is written after it. */
        OK(cuMemFree(target));
        CUdeviceptr again = allocate(WORDS * 4);
        drv_fill(again, WORDS, 60 + round, 0, other);
        OK(cuStreamSynchronize(other));
        OK(cuStreamSynchronize(stream));
        printf("updated, round %u: %u\n", round, first(again));
        OK(cuMemFree(again));
        OK(cuGraphDestroy(changed));
    }
}

/* Asks cupool for everything while `stream` captures. */
static void ask_for_everything(void)
{
    size_t available, total;
    OK(cuMemGetInfo(&available, &total));
    if (!empty_cache)
        return;
    empty_cache();
    EXPECT(cupool_stats_dump("during.json") == 0);
    raise(SIGUSR1);
    /* The worker, in its own time. */
    sleep_ms(50);
}

/* More than there is: everything is reclaimed for it, in vain. */
static void *run_out(void *unused)
{
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    size_t available, total;
    CUdeviceptr p;
    (void)unused;
    OK(cuCtxSetCurrent(context));
    exchange(&mode);
    OK(cuMemGetInfo(&available, &total));
    EXPECT(cuMemAlloc(&p, total - 64 * MIB) == CUDA_ERROR_OUT_OF_MEMORY);
    exchange(&mode);
    return NULL;
}

static void quiet(void)
{
    static const char *names[] = {"global", "thread-local", "relaxed"};
    for (int mode = 0; mode < 3; mode++) {
        CUstream stream = new_stream();
        CUdeviceptr target = allocate(WORDS * 4), held = allocate(128 * MIB);
        CUgraph graph = NULL;
        pthread_t thread;
        OK(cuMemFree(allocate(8 * MIB)));
        OK(cuStreamBeginCapture(stream, (CUstreamCaptureMode)mode));
        drv_fill(target, WORDS, 70 + (unsigned)mode, 0, stream);
        churn();
        ask_for_everything();
        run_out(NULL);
        OK(pthread_create(&thread, NULL, run_out, NULL));
        OK(pthread_join(thread, NULL));
        ask_for_everything();
        CUresult result = cuStreamEndCapture(stream, &graph);
        printf("%s: end %d\n", names[mode], (int)result);
        if (result == CUDA_SUCCESS)
            run(names[mode], graph, stream, target);
        OK(cuMemFree(held));
        OK(cuMemFree(target));
        OK(cuStreamDestroy(stream));
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "several";
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&context, 0));
    OK(cuCtxSetCurrent(context));
    /* Kernels are loaded lazily, which a capture does not allow. */
    CUdeviceptr warm = allocate(4);
    drv_fill(warm, 1, 0, 0, NULL);
    OK(cuCtxSynchronize());
    OK(cuMemFree(warm));
    if (strcmp(what, "several") == 0)
        several();
    else if (strcmp(what, "elsewhere") == 0)
        elsewhere();
    else if (strcmp(what, "spoilt") == 0)
        spoilt();
    else if (strcmp(what, "graphs") == 0)
        graphs();
    else
        quiet();
    return 0;
}
