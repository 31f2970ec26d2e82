/* Resets the device with cached and live blocks, and goes on: the same addresses may come back. */
#include "rt.h"

int main(void)
{
    for (unsigned round = 0; round < 5; round++) {
        unsigned *live = rt_alloc(MIB), *p = rt_alloc(2 * MIB), word = 0;
        OK(k_fill(p, MIB / 2, round, 0, rt_stream()));
        OK(cudaFree(p));
        p = rt_alloc(2 * MIB);
        OK(cudaMemset(p, 1, 2 * MIB));
        OK(cudaMemcpy(&word, p + 1000, 4, cudaMemcpyDeviceToHost));
        OK(cudaMemset(live, 0, MIB));
        OK(cudaFree(p));
        OK(cudaDeviceReset());
        printf("round %u: %#x\n", round, word);
    }
    unsigned *p = rt_alloc(2 * MIB);
    OK(cudaFree(p));
    printf("goes on\n");
    return 0;
}
