/* For victims that use the driver API and link against it. */
#ifndef DRV_H
#define DRV_H

#include "victim.h"

#include <cuda.h>

/* The context-creating function of every driver since CUDA 4; newer headers only declare
 * newer ones. */
CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device);

static inline CUcontext drv_context(void)
{
    CUdevice device;
    CUcontext context;
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    OK(cuCtxCreate_v2(&context, 0, device));
    return context;
}

/* A kernel of kernels.h: a cubin on a GPU, a list of names on the simulated driver. */
static inline CUfunction drv_kernel(const char *name)
{
    static CUmodule module;
    CUfunction function;
    if (module == NULL) {
        const char *file = getenv("VICTIM_KERNELS");
        EXPECT(file != NULL);
        OK(cuModuleLoad(&module, file));
    }
    OK(cuModuleGetFunction(&function, module, name));
    return function;
}

/* Writes `value` to every word of `p`, `delay_us` after the kernel has started. */
static inline void drv_fill(CUdeviceptr p, size_t words, unsigned value, long delay_us, CUstream s)
{
    unsigned long long pointer = p, count = words;
    long long delay = delay_us;
    void *arguments[] = {&pointer, &count, &value, &delay};
    OK(cuLaunchKernel(drv_kernel("fill"), 64, 1, 1, 256, 1, 1, 0, s, arguments, NULL));
}

/* Adds the number of words of `p` that are not `expect` to `*mismatches`, likewise late. */
static inline void drv_check(CUdeviceptr p, size_t words, unsigned expect, CUdeviceptr mismatches,
                             long delay_us, CUstream s)
{
    unsigned long long pointer = p, count = words, result = mismatches;
    long long delay = delay_us;
    void *arguments[] = {&pointer, &count, &expect, &result, &delay};
    OK(cuLaunchKernel(drv_kernel("check"), 64, 1, 1, 256, 1, 1, 0, s, arguments, NULL));
}

#endif
