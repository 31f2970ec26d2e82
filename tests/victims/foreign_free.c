/* Frees blocks where their own context is not the current one: under another context, in another
 * thread, and in a thread that has none. */
#include "drv.h"

#include <pthread.h>

static CUcontext first, second;

static void *other_thread(void *block)
{
    CUdeviceptr p = *(CUdeviceptr *)block;
    /* Without a context drivers may refuse; then the block is still there to be freed. */
    CUresult without = cuMemFree(p);
    OK(cuCtxSetCurrent(first));
    printf("freed: %s\n", without == CUDA_SUCCESS || cuMemFree(p) == CUDA_SUCCESS ? "yes" : "no");
    printf("once more: %d\n", (int)cuMemFree(p));
    return NULL;
}

int main(void)
{
    CUdeviceptr p, q, base;
    size_t size;
    pthread_t thread;

    first = drv_context();
    OK(cuMemAlloc(&p, MIB));
    OK(cuCtxCreate_v2(&second, 0, 0));
    SHOW(cuMemFree(p));
    for (int round = 0; round < 5; round++) {
        OK(cuMemAlloc(&q, MIB)); /* the second's own: not what the first has freed */
        OK(cuMemsetD32(q, round, MIB / 4));
        OK(cuCtxSynchronize());
        OK(cuMemGetAddressRange(&base, &size, q));
        OK(cuMemFree(q));
    }
    OK(cuCtxSetCurrent(first));
    OK(cuMemAlloc(&p, MIB));
    OK(pthread_create(&thread, NULL, other_thread, &p));
    OK(pthread_join(thread, NULL));
    OK(cuMemAlloc(&p, MIB));
    OK(cuCtxDestroy(second));
    OK(cuCtxSetCurrent(first));
    SHOW(cuMemFree(p));
    return 0;
}
