/* One thread's first call makes it wait for what another thread's free left to wait for; that
 * thread looks at the device meanwhile, and must find it as after the free. */
#include "rt.h"

#include <pthread.h>

static void *use_device(void *unused)
{
    (void)unused;
    OK(cudaSetDevice(0));
    OK(cudaFree(NULL));
    return NULL;
}

int main(void)
{
    unsigned *p = rt_alloc(MIB), *freed = rt_alloc(MIB);
    cudaStream_t stream = rt_stream();
    cudaEvent_t event;
    pthread_t thread;
    OK(cudaEventCreate(&event));
    OK(k_fill(p, 1, 1, 0, stream));
    OK(cudaDeviceSynchronize());

    OK(k_fill(p, 1, 2, 3 * LATE, stream));
    OK(cudaEventRecord(event, stream));
    OK(cudaFree(freed));
    OK(pthread_create(&thread, NULL, use_device, NULL));
    sleep_ms(LATE / 1000);
    SHOW(cudaEventQuery(event));
    OK(pthread_join(thread, NULL));
    return 0;
}
