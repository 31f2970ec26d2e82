/* A kernel still reads a block when the program frees it, allocates again and overwrites what it
 * got on another stream. Natively the free waits for the reader. */
#include "rt.h"

int main(void)
{
    cudaStream_t reader = rt_stream(), writer = rt_stream();
    unsigned *count = rt_alloc(4), wrong = 0;

    OK(cudaMemset(count, 0, 4));
    for (unsigned round = 1; round <= 3; round++) {
        unsigned *p = rt_alloc(MIB);
        OK(k_fill(p, MIB / 4, round, 0, reader));
        OK(cudaDeviceSynchronize());
        OK(k_check(p, MIB / 4, round, count, LATE / 3, reader));
        OK(cudaFree(p));
        unsigned *q = rt_alloc(MIB);
        OK(k_fill(q, MIB / 4, 0xdead, 0, writer));
        OK(cudaStreamSynchronize(writer));
        OK(cudaFree(q));
        OK(cudaDeviceSynchronize());
        OK(cudaMemcpy(&wrong, count, 4, cudaMemcpyDeviceToHost));
        printf("round %u: %u wrong words\n", round, wrong);
    }
    return 0;
}
