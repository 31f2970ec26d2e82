/* Returns from main while eight threads allocate and free as fast as they can. What CUDA does once
 * its own exit handlers run is undefined, so the threads are stopped by a handler that comes before
 * them: registered after cuInit, which registers the driver's. Whatever was registered later, by a
 * library that has waited for the first context, runs while the threads still work. */
#include "drv.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8 };

static pthread_t threads[THREADS];
static CUcontext context;
static atomic_int rounds, stop;

static void *work(void *unused)
{
    (void)unused;
    OK(cuCtxSetCurrent(context));
    while (!atomic_load(&stop)) {
        CUdeviceptr p = 0;
        OK(cuMemAlloc(&p, 64 * KIB));
        OK(cuMemFree(p));
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

static void wait_for_rounds(int more)
{
    int until = atomic_load(&rounds) + more;
    while (atomic_load(&rounds) < until)
        sleep_ms(1);
}

static void stop_threads(void)
{
    wait_for_rounds(1000);
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        OK(pthread_join(threads[i], NULL));
    printf("stopped\n");
}

int main(void)
{
    CUdevice device;
    OK(cuInit(0));
    OK(atexit(stop_threads));
    OK(cuDeviceGet(&device, 0));
    OK(cuCtxCreate_v2(&context, 0, device));
    for (int i = 0; i < THREADS; i++)
        OK(pthread_create(&threads[i], NULL, work, NULL));
    wait_for_rounds(1000);
    printf("exiting\n");
    return 0;
}
