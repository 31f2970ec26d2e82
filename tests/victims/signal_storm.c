/* Ten thousand SIGUSR1 while four threads allocate, fill, check and free: no deadlock, no lost
 * allocation, no wrong word. Run without a handler for the signal, it dies of the first. */
#include "rt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static atomic_int stop;
static atomic_uint wrong;

static void *work(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument, round = 0;
    cudaStream_t stream = rt_stream();
    while (!atomic_load(&stop)) {
        size_t words = 1000 + number * 5000 + round % 7 * 1000;
        unsigned *p = rt_alloc(words * 4), value = number << 24 | round++, last = 0;
        OK(k_fill(p, words, value, 0, stream));
        OK(cudaMemcpyAsync(&last, p + words - 1, 4, cudaMemcpyDeviceToHost, stream));
        OK(cudaStreamSynchronize(stream));
        wrong += last != value;
        OK(cudaFree(p));
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[4];
    OK(cudaFree(rt_alloc(MIB)));
    for (uintptr_t i = 0; i < 4; i++)
        OK(pthread_create(&threads[i], NULL, work, (void *)i));
    for (int i = 0; i < 10000; i++)
        OK(kill(getpid(), SIGUSR1));
    atomic_store(&stop, 1);
    for (int i = 0; i < 4; i++)
        OK(pthread_join(threads[i], NULL));
    printf("10000 signals, %u wrong words\n", (unsigned)wrong);
    return 0;
}
