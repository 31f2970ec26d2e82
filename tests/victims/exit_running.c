/* Returns from main while eight threads allocate and free as fast as they can, and nobody stops them:
 * on a real driver they may crash where it is torn down under them, which is no test of anything. */
#include "rt.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_int started;

static void *work(void *unused)
{
    (void)unused;
    for (;;) {
        void *p = NULL;
        /* Once the driver is shutting down these may fail: that is not what is tested. */
        if (cudaMalloc(&p, 64 * KIB) == cudaSuccess)
            cudaFree(p);
        atomic_fetch_add(&started, 1);
    }
    return NULL;
}

int main(void)
{
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        OK(pthread_create(&thread, NULL, work, NULL));
    }
    while (atomic_load(&started) < 1000)
        sleep_ms(1);
    printf("exiting\n");
    return 0;
}
