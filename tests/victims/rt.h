/* For victims that use the runtime API. */
#ifndef RT_H
#define RT_H

#include "victim.h"

#include <cuda_runtime.h>

#include "kernels.h"

/* A stream that neither waits for the default stream nor is waited for by it. */
static inline cudaStream_t rt_stream(void)
{
    cudaStream_t stream;
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static inline unsigned *rt_alloc(size_t bytes)
{
    void *pointer = NULL;
    OK(cudaMalloc(&pointer, bytes));
    EXPECT(pointer != NULL);
    return (unsigned *)pointer;
}

/* Words of `p` that are not `expect`, counted on the device once everything before is done. */
static inline unsigned rt_mismatches(const unsigned *p, size_t words, unsigned expect)
{
    unsigned *count = rt_alloc(sizeof *count), result = 0;
    OK(cudaDeviceSynchronize());
    OK(cudaMemset(count, 0, sizeof *count));
    OK(k_check(p, words, expect, count, 0, NULL));
    OK(cudaMemcpy(&result, count, sizeof result, cudaMemcpyDeviceToHost));
    OK(cudaFree(count));
    return result;
}

#endif
