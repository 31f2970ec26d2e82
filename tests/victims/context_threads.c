/* Each thread makes contexts and destroys them with blocks in them, while the others get the
 * addresses that become free. */
#include "drv.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 5, BLOCKS = 64 };

/* A real driver takes up to a second for each context. */
static int rounds(void) { return getenv("VICTIM_REAL_DRIVER") ? 3 : 20; }

static void *work(void *unused)
{
    CUdevice device;
    (void)unused;
    OK(cuDeviceGet(&device, 0));
    for (int round = 0; round < rounds(); round++) {
        CUcontext context;
        CUdeviceptr blocks[BLOCKS];
        OK(cuCtxCreate_v2(&context, 0, device));
        for (int i = 0; i < BLOCKS; i++)
            OK(cuMemAlloc(&blocks[i], (1 + i % 8) * 4 * KIB));
        /* The other half goes with the context. */
        for (int i = 0; i < BLOCKS / 2; i++)
            OK(cuMemFree(blocks[i]));
        OK(cuCtxDestroy(context));
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    OK(cuInit(0));
    for (int i = 0; i < THREADS; i++)
        OK(pthread_create(&threads[i], NULL, work, NULL));
    for (int i = 0; i < THREADS; i++)
        OK(pthread_join(threads[i], NULL));
    printf("%d contexts\n", THREADS * rounds());
    return 0;
}
