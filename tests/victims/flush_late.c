/* A kernel still reads a block when the program frees it and asks for the cache to be emptied,
 * if there is anyone to ask. The pages must stay until the reader is done. */
#include "rt.h"

void empty_cache(void) __attribute__((weak));

int main(void)
{
    cudaStream_t reader = rt_stream();
    unsigned *count = rt_alloc(4), *p = rt_alloc(32 * MIB), wrong = 0;

    OK(cudaMemset(count, 0, 4));
    OK(k_fill(p, 8 * MIB, 5, 0, reader));
    OK(cudaDeviceSynchronize());
    OK(k_check(p, 8 * MIB, 5, count, LATE, reader));
    OK(cudaFree(p));
    if (empty_cache)
        empty_cache();
    OK(cudaDeviceSynchronize());
    OK(cudaMemcpy(&wrong, count, 4, cudaMemcpyDeviceToHost));
    printf("%u wrong words\n", wrong);
    return 0;
}
