/*
 * An ordinary CUDA program that knows nothing of cupool: in each step it allocates scratch
 * buffers, works in them and frees them, as code does that leaves memory to cudaMalloc. It is
 * written in the driver API so that any C compiler builds it.
 *
 *     cc demo.c -I CUDA/include -lcuda -o demo
 *     ./demo                              natively
 *     LD_PRELOAD=libcupool.so ./demo      pooled
 *
 * It prints how long the allocations and frees took, how much memory the device had left, then
 * waits for a line on standard input and looks again.
 */
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MIB ((size_t)1 << 20)

enum { STEPS = 200, BUFFERS = 6 };

static const size_t sizes[BUFFERS] = {1 << 16, 1 * MIB, 4 * MIB, 16 * MIB, 64 * MIB, 160 * MIB};

static void check(CUresult result, const char *what)
{
    if (result != CUDA_SUCCESS) {
        fprintf(stderr, "demo: %s: CUDA error %d\n", what, (int)result);
        exit(1);
    }
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static size_t used(void)
{
    size_t available = 0, total = 0;
    check(cuMemGetInfo(&available, &total), "cuMemGetInfo");
    return total - available;
}

int main(void)
{
    CUdevice device;
    CUcontext context;
    double in_calls_us = 0, begin_us;
    char line[8];

    check(cuInit(0), "cuInit");
    check(cuDeviceGet(&device, 0), "cuDeviceGet");
    check(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    check(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    size_t at_start = used();

    begin_us = now_us();
    for (unsigned step = 0; step < STEPS; step++) {
        CUdeviceptr buffers[BUFFERS];
        unsigned word = 0;
        double before = now_us();
        for (int i = 0; i < BUFFERS; i++)
            check(cuMemAlloc(&buffers[i], sizes[i]), "cuMemAlloc");
        in_calls_us += now_us() - before;

        for (int i = 0; i < BUFFERS; i++)
            check(cuMemsetD32Async(buffers[i], step + i, 1024, NULL), "cuMemsetD32Async");
        check(cuMemcpyDtoH(&word, buffers[BUFFERS - 1], sizeof word), "cuMemcpyDtoH");
        if (word != step + BUFFERS - 1) {
            fprintf(stderr, "demo: step %u: read %u\n", step, word);
            return 1;
        }

        before = now_us();
        for (int i = 0; i < BUFFERS; i++)
            check(cuMemFree(buffers[i]), "cuMemFree");
        in_calls_us += now_us() - before;
    }
    printf("pair_us %.3f\n", in_calls_us / (STEPS * BUFFERS));
    printf("step_us %.3f\n", (now_us() - begin_us) / STEPS);
    printf("held_bytes %lld\n", (long long)(used() - at_start));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("held_bytes %lld\n", (long long)(used() - at_start));
        fflush(stdout);
    }
    return 0;
}
