/* One thread releases the primary context with work under way, while another one retains it: the
 * other's block stays, whichever came first. */
#include "drv.h"

#include <pthread.h>

static CUdevice device;
static pthread_barrier_t freed;

static void *other(void *unused)
{
    CUcontext context;
    CUdeviceptr p;
    unsigned word = 0;
    (void)unused;
    pthread_barrier_wait(&freed);
    sleep_ms(LATE / 4000);
    OK(cuDevicePrimaryCtxRetain(&context, device));
    OK(cuCtxSetCurrent(context));
    OK(cuMemAlloc(&p, 4 * MIB));
    OK(cuMemsetD32(p, 5, MIB));
    /* Past the end of the work that the release waits for. */
    sleep_ms(LATE / 500);
    OK(cuMemcpyDtoH(&word, p + MIB, sizeof word));
    OK(cuMemFree(p));
    OK(cuDevicePrimaryCtxRelease(device));
    printf("the other has %u\n", word);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    CUcontext context;
    CUdeviceptr busy, p;
    CUstream stream;
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    OK(pthread_barrier_init(&freed, NULL, 2));
    OK(pthread_create(&thread, NULL, other, NULL));
    OK(cuDevicePrimaryCtxRetain(&context, device));
    OK(cuCtxSetCurrent(context));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuMemAlloc(&busy, 4 * MIB));
    OK(cuMemAlloc(&p, MIB));
    drv_fill(busy, MIB, 1, LATE, stream);
    OK(cuMemFree(p));
    pthread_barrier_wait(&freed);
    OK(cuDevicePrimaryCtxRelease(device));
    OK(pthread_join(thread, NULL));
    return 0;
}
