/* A kernel spins until another thread submits the copy that releases it, while the first thread
 * frees. Natively only the freeing thread is held up; whoever delays the other thread's copy
 * until the kernel ends makes both wait for ever. */
#include "rt.h"

#include <pthread.h>

static unsigned *flag;
static pthread_barrier_t ready;

static void *release(void *unused)
{
    (void)unused;
    static const unsigned one = 1;
    cudaStream_t stream = rt_stream();
    pthread_barrier_wait(&ready); /* this thread has its context; the kernel comes next */
    pthread_barrier_wait(&ready); /* it has been launched */
    sleep_ms(50);                 /* the first thread is inside cudaFree by now */
    OK(cudaMemcpyAsync(flag, &one, 4, cudaMemcpyHostToDevice, stream));
    OK(cudaStreamSynchronize(stream));
    return NULL;
}

int main(void)
{
    pthread_t thread;
    cudaStream_t stream = rt_stream();
    unsigned *p = rt_alloc(MIB);

    flag = rt_alloc(4);
    OK(cudaMemset(flag, 0, 4));
    OK(cudaDeviceSynchronize());
    OK(pthread_barrier_init(&ready, NULL, 2));
    OK(pthread_create(&thread, NULL, release, NULL));
    pthread_barrier_wait(&ready);
    OK(k_wait_flag(flag, 1, stream));
    pthread_barrier_wait(&ready);
    OK(cudaFree(p));
    OK(pthread_join(thread, NULL));
    OK(cudaDeviceSynchronize());
    OK(cudaFree(flag));
    printf("finished\n");
    return 0;
}
