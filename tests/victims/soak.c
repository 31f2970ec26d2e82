/* Four threads allocate blocks of random sizes, fill and check each on a stream of their own, and
 * free it while that work is still on its way. No block may be anybody else's meanwhile: every
 * word must be what its own kernel wrote. */
#include "rt.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 250 };

static void *work(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument, random = number + 1, wrong = 0;
    cudaStream_t stream = rt_stream();
    unsigned *count = rt_alloc(sizeof *count);
    OK(cudaMemsetAsync(count, 0, sizeof *count, stream));
    for (unsigned round = 0; round < ROUNDS; round++) {
        random = random * 1664525 + 1013904223;
        size_t words = 1 + (random >> 8) % 50000;
        unsigned *p = rt_alloc(words * 4), value = number << 24 | round;
        OK(k_fill(p, words, value, random % 300, stream));
        OK(k_check(p, words, value, count, random % 200, stream));
        OK(cudaFree(p));
    }
    OK(cudaMemcpyAsync(&wrong, count, sizeof wrong, cudaMemcpyDeviceToHost, stream));
    OK(cudaStreamSynchronize(stream));
    OK(cudaFree(count));
    OK(cudaStreamDestroy(stream));
    return (void *)(uintptr_t)wrong;
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned long wrong = 0;
    for (uintptr_t i = 0; i < THREADS; i++)
        OK(pthread_create(&threads[i], NULL, work, (void *)i));
    for (int i = 0; i < THREADS; i++) {
        void *found;
        OK(pthread_join(threads[i], &found));
        wrong += (uintptr_t)found;
    }
    printf("%d blocks, %lu wrong words\n", THREADS * ROUNDS, wrong);
    return 0;
}
