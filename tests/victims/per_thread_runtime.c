/* cudaStreamPerThread: two threads work on their own streams of that name, free what is still read
 * there, and overwrite what they get next. */
#include "rt.h"

#include <pthread.h>

enum { THREADS = 2, ROUNDS = 4 };

static unsigned wrong[THREADS];

static void *work(void *argument)
{
    int own = (int)(intptr_t)argument;
    unsigned *count = rt_alloc(4);
    OK(cudaMemset(count, 0, 4));
    for (unsigned round = 1; round <= ROUNDS; round++) {
        unsigned *block = rt_alloc(MIB);
        OK(k_fill(block, MIB / 4, round, 0, cudaStreamPerThread));
        OK(k_check(block, MIB / 4, round, count, LATE / 5, cudaStreamPerThread));
        OK(cudaFree(block));
        OK(cudaStreamQuery(cudaStreamPerThread));
        unsigned *again = rt_alloc(MIB);
        OK(k_fill(again, MIB / 4, 0xdead, 0, cudaStreamPerThread));
        OK(cudaFree(again));
    }
    OK(cudaStreamSynchronize(cudaStreamPerThread));
    OK(cudaMemcpy(&wrong[own], count, 4, cudaMemcpyDeviceToHost));
    OK(cudaFree(count));
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        OK(pthread_create(&threads[i], NULL, work, (void *)i));
    for (int i = 0; i < THREADS; i++) {
        OK(pthread_join(threads[i], NULL));
        printf("thread %d: %u wrong words\n", i, wrong[i]);
    }
    return 0;
}
