/* A kernel spins until another thread allocates, and submits the copy that releases it; meanwhile
 * the first thread empties the cache, if there is one, frees, and empties it again. Emptying may
 * wait for the device, but must not make the other thread wait. */
#include "rt.h"

#include <pthread.h>

void empty_cache(void) __attribute__((weak));

static unsigned *flag;
static pthread_barrier_t ready;

static void *release(void *unused)
{
    (void)unused;
    static const unsigned one = 1;
    cudaStream_t stream = rt_stream();
    pthread_barrier_wait(&ready);
    sleep_ms(50); /* the first thread is inside cudaFree or empty_cache by now */
    unsigned *p = rt_alloc(3 * MIB);
    OK(cudaMemcpyAsync(p, &one, 4, cudaMemcpyHostToDevice, stream));
    OK(cudaMemcpyAsync(flag, p, 4, cudaMemcpyDeviceToDevice, stream));
    OK(cudaStreamSynchronize(stream));
    OK(cudaFree(p));
    return NULL;
}

int main(void)
{
    pthread_t thread;
    cudaStream_t stream = rt_stream();
    unsigned *p = rt_alloc(32 * MIB), *q = rt_alloc(16 * MIB);

    flag = rt_alloc(4);
    OK(cudaMemset(flag, 0, 4));
    OK(cudaDeviceSynchronize());
    OK(pthread_barrier_init(&ready, NULL, 2));
    OK(pthread_create(&thread, NULL, release, NULL));
    OK(cudaFree(q));
    OK(k_wait_flag(flag, 1, stream));
    pthread_barrier_wait(&ready);
    if (empty_cache)
        empty_cache();
    OK(cudaFree(p));
    if (empty_cache)
        empty_cache();
    OK(pthread_join(thread, NULL));
    OK(cudaDeviceSynchronize());
    printf("finished\n");
    return 0;
}
