/* Threads that retain the primary context, use it and release it: each for itself, then all at once.
 * Whoever is the last one ends it, and whoever comes next has a new one at the same handle. */
#include "drv.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 4, WORDS = 64 * KIB };

static CUdevice device;

/* A real driver takes a good part of a second for each context. */
static int rounds(int simulated) { return getenv("VICTIM_REAL_DRIVER") ? 3 : simulated; }

static CUcontext retain(void)
{
    CUcontext context;
    OK(cuDevicePrimaryCtxRetain(&context, device));
    OK(cuCtxSetCurrent(context));
    return context;
}

static void use(unsigned value)
{
    CUdeviceptr p;
    unsigned word = 0;
    OK(cuMemAlloc(&p, WORDS * sizeof word));
    OK(cuMemsetD32(p, value, WORDS));
    OK(cuMemcpyDtoH(&word, p + WORDS, sizeof word));
    EXPECT(word == value);
    OK(cuMemFree(p));
}

static void release(void)
{
    OK(cuCtxSetCurrent(NULL));
    OK(cuDevicePrimaryCtxRelease(device));
}

/* Lets all threads go on in the same instant, as none that has slept could. */
static void meet(void)
{
    static atomic_int met;
    int all = (atomic_fetch_add(&met, 1) / THREADS + 1) * THREADS;
    while (atomic_load(&met) < all)
        sched_yield();
}

static void *work(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    for (int round = 0; round < rounds(400); round++) {
        retain();
        use(number << 16 | round);
        release();
    }
    for (int round = 0; round < rounds(400); round++) {
        meet();
        retain();
        use(number << 16 | round);
        OK(cuCtxSetCurrent(NULL));
        meet();
        OK(cuDevicePrimaryCtxRelease(device));
        meet();
        if (number == 0) {
            unsigned flags;
            int active;
            OK(cuDevicePrimaryCtxGetState(device, &flags, &active));
            EXPECT(!active);
            retain();
            use(round);
            release();
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    for (uintptr_t i = 0; i < THREADS; i++)
        OK(pthread_create(&threads[i], NULL, work, (void *)i));
    for (int i = 0; i < THREADS; i++)
        OK(pthread_join(threads[i], NULL));
    printf("%d threads are done\n", THREADS);
    return 0;
}
