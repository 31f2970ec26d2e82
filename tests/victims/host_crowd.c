/* 256 threads at a time, four times over. Each allocates blocks of many sizes, frees some itself,
 * leaves the others to whoever comes next, frees what it finds there, and ends: what was cached for
 * it must not be lost, nor handed out twice. */
#include "rt.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 256, GENERATIONS = 4, BLOCKS = 6 };

struct block {
    unsigned *pointer;
    size_t words;
    unsigned value;
};

static struct block left[THREADS][BLOCKS];
static pthread_barrier_t all_there;
static atomic_uint wrong;

static void give_back(struct block *block)
{
    unsigned last = 0;
    if (block->pointer == NULL)
        return;
    OK(cudaMemcpy(&last, block->pointer + block->words - 1, 4, cudaMemcpyDeviceToHost));
    if (last != block->value)
        wrong++;
    OK(cudaFree(block->pointer));
    block->pointer = NULL;
}

static void *work(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument % THREADS;
    unsigned generation = (unsigned)(uintptr_t)argument / THREADS;
    pthread_barrier_wait(&all_there);
    /* What the thread before the last one here has left. */
    for (int i = 0; i < BLOCKS; i++)
        give_back(&left[number][i]);
    for (unsigned i = 0; i < 2 * BLOCKS; i++) {
        struct block block;
        block.words = (size_t)64 << (number + i) % 11;
        block.value = generation << 24 | number << 8 | i;
        block.pointer = rt_alloc(block.words * 4);
        OK(k_fill(block.pointer, block.words, block.value, 0, cudaStreamPerThread));
        OK(cudaStreamSynchronize(cudaStreamPerThread));
        if (i % 2 == 0)
            give_back(&block);
        else
            left[number][i / 2] = block;
    }
    return NULL;
}

int main(void)
{
    char line[8];
    static pthread_t threads[THREADS];
    for (uintptr_t generation = 0; generation < GENERATIONS; generation++) {
        OK(pthread_barrier_init(&all_there, NULL, THREADS));
        for (uintptr_t i = 0; i < THREADS; i++)
            OK(pthread_create(&threads[i], NULL, work, (void *)(generation * THREADS + i)));
        for (int i = 0; i < THREADS; i++)
            OK(pthread_join(threads[i], NULL));
        OK(pthread_barrier_destroy(&all_there));
    }
    for (int i = 0; i < THREADS * BLOCKS; i++)
        give_back(&left[0][0] + i);
    printf("%u wrong words\n", (unsigned)wrong);
    fflush(stdout);
    /* Every thread is gone, and what it had cached is still there. */
    EXPECT(read(0, line, sizeof line) >= 0);
    return 0;
}
