/* Threads whose default streams are their own, by how the program was compiled: cuda.h then names
 * other entry points. Each frees what its stream still reads, and fills what it gets next there. The
 * default stream, the per-thread stream by its handle, and stream-ordered frees. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include "drv.h"

#include <pthread.h>

enum { THREADS = 3, ROUNDS = 4, WORDS = 1 << 18 };

static CUcontext context;
static unsigned wrong[THREADS];

static void *work(void *argument)
{
    int own = (int)(intptr_t)argument;
    CUdeviceptr block, again, count;
    CUmodule module;
    CUfunction check, fill;
    OK(cuCtxSetCurrent(context));
    OK(cuModuleLoad(&module, getenv("VICTIM_KERNELS")));
    OK(cuModuleGetFunction(&check, module, "check"));
    OK(cuModuleGetFunction(&fill, module, "fill"));
    OK(cuMemAlloc(&count, 4));
    OK(cuMemsetD32(count, 0, 1));
    for (unsigned round = 1; round <= ROUNDS; round++) {
        CUstream stream = round % 2 ? NULL : CU_STREAM_PER_THREAD;
        unsigned long long pointer, words = WORDS, result = count;
        unsigned value = round * 10 + (unsigned)own, dead = 0xdead;
        long long at_once = 0, late = 20000;
        void *fills[] = {&pointer, &words, &value, &at_once};
        void *checks[] = {&pointer, &words, &value, &result, &late};
        void *spoils[] = {&pointer, &words, &dead, &at_once};
        OK(cuMemAlloc(&block, WORDS * 4));
        pointer = block;
        OK(cuLaunchKernel(fill, 64, 1, 1, 256, 1, 1, 0, stream, fills, NULL));
        OK(cuLaunchKernel(check, 64, 1, 1, 256, 1, 1, 0, stream, checks, NULL));
        if (round == ROUNDS)
            OK(cuMemFreeAsync(block, stream));
        else
            OK(cuMemFree(block));
        /* Natively such a free has waited for this stream. */
        if (round != ROUNDS)
            EXPECT(cuStreamQuery(stream) == CUDA_SUCCESS);
        OK(cuMemAlloc(&again, WORDS * 4));
        pointer = again;
        OK(cuLaunchKernel(fill, 64, 1, 1, 256, 1, 1, 0, stream, spoils, NULL));
        OK(cuMemFree(again));
    }
    OK(cuStreamSynchronize(NULL));
    OK(cuMemcpyDtoH(&wrong[own], count, 4));
    OK(cuMemFree(count));
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    CUgraph graph = NULL;
    CUstreamCaptureStatus status;
    CUdeviceptr block;
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&context, 0));
    OK(cuCtxSetCurrent(context));
    for (intptr_t i = 0; i < THREADS; i++)
        OK(pthread_create(&threads[i], NULL, work, (void *)i));
    for (int i = 0; i < THREADS; i++) {
        OK(pthread_join(threads[i], NULL));
        printf("thread %d: %u wrong words\n", i, wrong[i]);
    }
    /* The default stream can be captured now, and a free meanwhile leaves it alone. */
    OK(cuMemAlloc(&block, MIB));
    OK(cuStreamBeginCapture(NULL, CU_STREAM_CAPTURE_MODE_RELAXED));
    drv_fill(block, MIB / 4, 3, 0, NULL);
    OK(cuMemFree(block));
    OK(cuStreamIsCapturing(CU_STREAM_PER_THREAD, &status));
    printf("capturing: %d\n", (int)status);
    OK(cuStreamEndCapture(NULL, &graph));
    OK(cuGraphDestroy(graph));
    OK(cuDevicePrimaryCtxRelease(0));
    return 0;
}
