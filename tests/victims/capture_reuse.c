/* A kernel still reads a block that the program frees while a stream is being captured, when no
 * fence can be placed. What the program allocates and overwrites next must be something else. */
#include "rt.h"

int main(void)
{
    cudaStream_t reader = rt_stream(), writer = rt_stream(), captured = rt_stream();
    unsigned *count = rt_alloc(4), *target = rt_alloc(4096), wrong = 0;

    OK(cudaMemset(count, 0, 4));
    for (unsigned round = 1; round <= 3; round++) {
        unsigned *p = rt_alloc(MIB);
        cudaGraph_t graph = NULL;
        OK(k_fill(p, MIB / 4, round, 0, reader));
        OK(cudaDeviceSynchronize());
        OK(cudaStreamBeginCapture(captured, cudaStreamCaptureModeRelaxed));
        OK(k_fill(target, 1024, round, 0, captured));
        OK(k_check(p, MIB / 4, round, count, LATE / 3, reader));
        OK(cudaFree(p));
        unsigned *q = rt_alloc(MIB);
        OK(k_fill(q, MIB / 4, 0xdead, 0, writer));
        OK(cudaStreamEndCapture(captured, &graph));
        EXPECT(graph != NULL);
        OK(cudaGraphDestroy(graph));
        OK(cudaDeviceSynchronize());
        OK(cudaFree(q));
        OK(cudaMemcpy(&wrong, count, 4, cudaMemcpyDeviceToHost));
        printf("round %u: %u wrong words\n", round, wrong);
    }
    return 0;
}
