/* What the runtime answers to allocations and frees that are not in order. */
#include "rt.h"

int main(void)
{
    void *p = (void *)1;
    unsigned *block, word = 0;

    SHOW(cudaMalloc(&p, 0));
    printf("pointer %s\n", p ? "set" : "NULL");
    SHOW(cudaFree(NULL));

    block = rt_alloc(MIB);
    SHOW(cudaFree((char *)block + 4096));
    SHOW(cudaGetLastError());
    SHOW(cudaFree(block));
    SHOW(cudaFree(block));
    SHOW(cudaGetLastError());
    SHOW(cudaFree((void *)0x10000));
    SHOW(cudaGetLastError());

    p = (void *)1;
    SHOW(cudaMalloc(&p, (size_t)1 << 60));
    printf("pointer %s\n", p ? "set" : "NULL");
    SHOW(cudaGetLastError());
    SHOW(cudaGetLastError());
    p = (void *)1;
    SHOW(cudaMalloc(&p, SIZE_MAX));
    printf("pointer %s\n", p ? "set" : "NULL");
    SHOW(cudaGetLastError());
    SHOW(cudaMalloc(NULL, 16));
    SHOW(cudaGetLastError());

    /* None of it hurts what follows. */
    block = rt_alloc(MIB);
    OK(k_fill(block, MIB / 4, 7, 0, NULL));
    OK(cudaMemcpy(&word, block + 1000, 4, cudaMemcpyDeviceToHost));
    OK(cudaFree(block));
    printf("goes on: %u\n", word);
    return 0;
}
