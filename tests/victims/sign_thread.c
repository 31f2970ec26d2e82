/* A second thread works on the GPU too. The first launches a late kernel and frees; natively the
 * free returns when the kernel is done, and tells the second thread nothing, but a second thread
 * that then asks a stream of its own must find it idle at once. */
#include "rt.h"

#include <pthread.h>

static pthread_barrier_t turn;

static void *second(void *unused)
{
    (void)unused;
    cudaStream_t stream = rt_stream();
    unsigned *p = rt_alloc(4096);
    for (int round = 0; round < 3; round++) {
        pthread_barrier_wait(&turn); /* the kernel is running, the first thread frees */
        OK(k_fill(p, 1024, 1, 0, stream));
        sleep_ms(LATE / 2000);
        SHOW(cudaStreamQuery(stream)); /* a short kernel, long done */
        pthread_barrier_wait(&turn);
    }
    OK(cudaFree(p));
    return NULL;
}

int main(void)
{
    pthread_t thread;
    cudaStream_t stream = rt_stream();
    unsigned *p = rt_alloc(4096), *others[3];

    for (int round = 0; round < 3; round++)
        others[round] = rt_alloc(MIB);
    OK(pthread_barrier_init(&turn, NULL, 2));
    OK(pthread_create(&thread, NULL, second, NULL));
    for (int round = 0; round < 3; round++) {
        OK(k_fill(p, 1024, 1, LATE, stream));
        pthread_barrier_wait(&turn);
        OK(cudaFree(others[round]));
        pthread_barrier_wait(&turn);
    }
    OK(pthread_join(thread, NULL));
    return 0;
}
