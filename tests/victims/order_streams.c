/* Two streams that nothing orders but a cudaFree between them: natively it waits for all work,
 * so the second stream sees what the first wrote late. */
#include "rt.h"

int main(void)
{
    cudaStream_t writer = rt_stream(), reader = rt_stream();
    unsigned *p = rt_alloc(MIB), *copy = rt_alloc(MIB), *count = rt_alloc(4), wrong = 0;

    OK(cudaMemset(p, 0, MIB));
    OK(cudaMemset(count, 0, 4));
    OK(cudaDeviceSynchronize());
    for (unsigned round = 1; round <= 3; round++) {
        unsigned *other = rt_alloc(MIB);
        OK(k_fill(p, MIB / 4, round, LATE / 3, writer));
        OK(cudaFree(other));
        OK(k_check(p, MIB / 4, round, count, 0, reader));
        OK(cudaMemcpyAsync(copy, p, MIB, cudaMemcpyDeviceToDevice, reader));
        OK(k_check(copy, MIB / 4, round, count, 0, reader));
        OK(cudaMemcpyAsync(&wrong, count, 4, cudaMemcpyDeviceToHost, reader));
        OK(cudaStreamSynchronize(reader));
        printf("round %u: %u wrong words\n", round, wrong);
        /* Whoever was too early must not disturb the next round. */
        OK(cudaDeviceSynchronize());
    }
    return 0;
}
