/*
 * A program that gives its idle GPU memory back at a moment of its own choice, where cupool is
 * there to do it, and is an ordinary CUDA program where it is not.
 *
 *     cc empty_cache.c -I CUDA/include -I cupool/shim/include -lcuda -o empty_cache
 *     ./empty_cache
 *     LD_PRELOAD=libcupool.so ./empty_cache
 */
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>

#include <cupool.h>

/* Weak: NULL unless libcupool.so is in the process. */
#pragma weak cupool_empty_cache
#pragma weak cupool_get_stats

static void check(CUresult result, const char *what)
{
    if (result != CUDA_SUCCESS) {
        fprintf(stderr, "%s: CUDA error %d\n", what, (int)result);
        exit(1);
    }
}

static void work(size_t bytes)
{
    CUdeviceptr buffer;
    check(cuMemAlloc(&buffer, bytes), "cuMemAlloc");
    check(cuMemsetD8(buffer, 0, bytes), "cuMemsetD8");
    check(cuMemFree(buffer), "cuMemFree");
}

int main(void)
{
    CUdevice device;
    CUcontext context;
    check(cuInit(0), "cuInit");
    check(cuDeviceGet(&device, 0), "cuDeviceGet");
    check(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    check(cuCtxSetCurrent(context), "cuCtxSetCurrent");

    for (size_t mib = 1; mib <= 64; mib *= 2)
        work(mib << 20);

    struct cupool_stats stats;
    if (cupool_get_stats && cupool_get_stats(&stats, sizeof stats) == 0)
        printf("%llu bytes reserved, %llu of them idle\n",
               (unsigned long long)stats.reserved_bytes, (unsigned long long)stats.idle_bytes);
    if (cupool_empty_cache)
        printf("%zu bytes given back\n", cupool_empty_cache());
    else
        printf("without cupool there is nothing to give back\n");
    return 0;
}
