/* A library that is linked to CUDA, for programs that are not: it allocates, fills and frees, and
 * keeps a block that its destructor frees. `LINKED_DRIVER`: to libcuda, else to a runtime. */
#include "victim.h"

int plugin_work(void **block);
int plugin_free(void *block);

#ifdef LINKED_DRIVER
#include <cuda.h>
CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device);

static CUdeviceptr kept;

int plugin_work(void **block)
{
    static CUcontext context;
    unsigned word = 0;
    CUdeviceptr p;
    if (context == NULL) {
        OK(cuInit(0));
        OK(cuCtxCreate_v2(&context, 0, 0));
        OK(cuMemAlloc(&kept, MIB));
    }
    for (unsigned round = 0; round < 10; round++) {
        OK(cuMemAlloc(&p, MIB));
        OK(cuMemsetD32(p, round, MIB / 4));
        OK(cuMemcpyDtoH(&word, p + KIB, sizeof word));
        EXPECT(word == round);
        OK(cuMemFree(p));
    }
    OK(cuMemAlloc(&p, MIB));
    *block = (void *)p;
    return 0;
}

int plugin_free(void *block) { return (int)cuMemFree((CUdeviceptr)block); }

__attribute__((destructor)) static void unload(void) { cuMemFree(kept); }
#else
#include <cuda_runtime.h>

static void *kept;

int plugin_work(void **block)
{
    unsigned word = 0;
    void *p;
    if (kept == NULL)
        OK(cudaMalloc(&kept, MIB));
    for (unsigned round = 0; round < 10; round++) {
        OK(cudaMalloc(&p, MIB));
        OK(cudaMemset(p, (int)round, MIB));
        OK(cudaMemcpy(&word, (char *)p + KIB, sizeof word, cudaMemcpyDeviceToHost));
        EXPECT(word == round * 0x01010101u);
        OK(cudaFree(p));
    }
    OK(cudaMalloc(block, MIB));
    return 0;
}

int plugin_free(void *block) { return (int)cudaFree(block); }

__attribute__((destructor)) static void unload(void) { cudaFree(kept); }
#endif
