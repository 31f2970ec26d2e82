/* One thread captures in thread-local mode while another allocates, works and frees: natively
 * neither notices the other. */
#include "rt.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_int stop;

static void *others(void *unused)
{
    (void)unused;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    cudaStream_t stream = rt_stream();
    OK(cudaThreadExchangeStreamCaptureMode(&mode));
    while (!atomic_load(&stop)) {
        unsigned *p = rt_alloc(MIB);
        OK(k_fill(p, MIB / 4, 1, 0, stream));
        OK(cudaStreamSynchronize(stream));
        OK(cudaFree(p));
    }
    return NULL;
}

int main(void)
{
    pthread_t thread;
    cudaStream_t stream = rt_stream();
    unsigned *target = rt_alloc(MIB), wrong = 0;

    OK(pthread_create(&thread, NULL, others, NULL));
    for (unsigned round = 1; round <= 100; round++) {
        cudaGraph_t graph = NULL;
        cudaGraphExec_t exec;
        OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        OK(k_fill(target, MIB / 4, round, 0, stream));
        OK(cudaStreamEndCapture(stream, &graph));
        OK(cudaGraphInstantiate(&exec, graph, 0));
        OK(cudaGraphLaunch(exec, stream));
        OK(cudaStreamSynchronize(stream));
        unsigned last = 0;
        OK(cudaMemcpyAsync(&last, target + 9, 4, cudaMemcpyDeviceToHost, stream));
        OK(cudaStreamSynchronize(stream));
        wrong += last != round;
        OK(cudaGraphExecDestroy(exec));
        OK(cudaGraphDestroy(graph));
    }
    atomic_store(&stop, 1);
    OK(pthread_join(thread, NULL));
    printf("100 captures, %u wrong\n", wrong);
    return 0;
}
