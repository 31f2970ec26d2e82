/* Ends contexts in every way, each with blocks in use, cached and still written to, while signals
 * keep asking for idle memory to be given back. */
#include "drv.h"

#include <pthread.h>
#include <signal.h>

enum { ROUNDS = 8, BLOCKS = 24 };

static volatile int done;

static void ignore(int number) { (void)number; }

static void *ask(void *unused)
{
    (void)unused;
    while (!done) {
        OK(kill(getpid(), SIGUSR1));
        usleep(200);
    }
    return NULL;
}

/* Leaves a third of the blocks to the context, and work that has not ended. */
static void work(int round)
{
    CUdeviceptr blocks[BLOCKS];
    CUstream stream;
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < BLOCKS; i++) {
        size_t bytes = i % 2 ? 30 * KIB * (i + 1) : (size_t)(1 + i % 5) * MIB;
        OK(cuMemAlloc(&blocks[i], bytes));
        OK(cuMemsetD32Async(blocks[i], round, bytes / 4, stream));
    }
    for (int i = 0; i < BLOCKS; i++)
        if (i % 3 != 0)
            OK(cuMemFree(blocks[i]));
    OK(cuMemsetD32Async(blocks[0], round, 16, stream));
    usleep(1000 * (round % 3));
}

int main(void)
{
    pthread_t thread;
    CUdevice device;
    CUcontext context;

    EXPECT(signal(SIGUSR1, ignore) != SIG_ERR);
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    OK(pthread_create(&thread, NULL, ask, NULL));
    for (int round = 0; round < ROUNDS; round++) {
        OK(cuCtxCreate_v2(&context, 0, device));
        work(round);
        OK(cuCtxDestroy(context));

        OK(cuDevicePrimaryCtxRetain(&context, device));
        OK(cuCtxSetCurrent(context));
        work(round);
        if (round % 2)
            OK(cuDevicePrimaryCtxReset(device));
        OK(cuDevicePrimaryCtxRelease(device));
        OK(cuCtxSetCurrent(NULL));
        printf("round %d\n", round);
    }
    done = 1;
    OK(pthread_join(thread, NULL));
    return 0;
}
