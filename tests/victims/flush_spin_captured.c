/* A block is freed during a capture, and a kernel outside it spins until the thread that then empties
 * the cache, if there is one, submits the copy that releases it: emptying must not wait for the
 * device. */
#include "rt.h"

void empty_cache(void) __attribute__((weak));

int main(void)
{
    cudaStream_t captured = rt_stream(), spinning = rt_stream(), releasing = rt_stream();
    unsigned *flag = rt_alloc(4), *one = rt_alloc(4), *kept = rt_alloc(MIB);
    unsigned *freed = rt_alloc(32 * MIB);
    cudaGraph_t graph;

    OK(cudaMemset(flag, 0, 4));
    OK(k_fill(one, 1, 1, 0, releasing));
    OK(cudaDeviceSynchronize());
    OK(cudaStreamBeginCapture(captured, cudaStreamCaptureModeRelaxed));
    OK(k_fill(kept, MIB / 4, 7, 0, captured));
    OK(cudaFree(freed));
    OK(k_wait_flag(flag, 1, spinning));
    OK(cudaStreamEndCapture(captured, &graph));
    if (empty_cache)
        empty_cache();
    OK(cudaMemcpyAsync(flag, one, 4, cudaMemcpyDeviceToDevice, releasing));
    OK(cudaDeviceSynchronize());
    OK(cudaGraphDestroy(graph));
    printf("finished\n");
    return 0;
}
