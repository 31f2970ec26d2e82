/* A thread that is to be cancelled uses CUDA first: it ends where it would have, and the process
 * goes on. */
#include "drv.h"

#include <pthread.h>

static pthread_barrier_t barrier;

static void *allocate(void *unused)
{
    CUdevice device;
    CUcontext context;
    CUdeviceptr p;
    (void)unused;
    OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
    OK(cuDeviceGet(&device, 0));
    OK(cuCtxCreate_v2(&context, 0, device));
    OK(cuMemAlloc(&p, MIB));
    OK(cuMemFree(p));
    OK(cuCtxDestroy(context));
    pthread_testcancel();
    puts("never here");
    return NULL;
}

int main(void)
{
    pthread_t thread;
    void *result;
    OK(cuInit(0));
    OK(pthread_barrier_init(&barrier, NULL, 2));
    OK(pthread_create(&thread, NULL, allocate, NULL));
    pthread_barrier_wait(&barrier);
    OK(pthread_cancel(thread));
    pthread_barrier_wait(&barrier);
    OK(pthread_join(thread, &result));
    printf("cancelled: %s\n", result == PTHREAD_CANCELED ? "yes" : "no");
    return 0;
}
