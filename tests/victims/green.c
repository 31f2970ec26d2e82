/* Green contexts: memory is allocated and freed while one is current, and used in its streams and in
 * those of the primary context. What is freed while either still works on it is nobody else's. On a
 * driver without green contexts it says so. */
#include "drv.h"

#if CUDA_VERSION >= 12050

static CUdeviceptr count;

/* A late kernel in `reader` reads a block that is freed, and had again and overwritten in `writer`. */
static void overwrite(const char *what, CUcontext allocates, CUcontext frees, CUstream reader,
                      CUstream writer)
{
    CUdeviceptr block, again;
    unsigned wrong = 0;
    OK(cuCtxSetCurrent(allocates));
    OK(cuMemAlloc(&block, MIB));
    OK(cuMemsetD32(count, 0, 1));
    OK(cuMemsetD32(block, 1, MIB / 4));
    OK(cuCtxSynchronize());
    drv_check(block, MIB / 4, 1, count, LATE / 2, reader);
    OK(cuCtxSetCurrent(frees));
    OK(cuMemFree(block));
    OK(cuMemAlloc(&again, MIB));
    drv_fill(again, MIB / 4, 2, 0, writer);
    OK(cuStreamSynchronize(writer));
    OK(cuStreamSynchronize(reader));
    OK(cuMemcpyDtoH(&wrong, count, sizeof wrong));
    printf("%s: %u wrong words\n", what, wrong);
    OK(cuMemFree(again));
}

int main(void)
{
    CUcontext primary, context;
    CUgreenCtx green;
    CUdevResource multiprocessors;
    CUdevResourceDesc description;
    CUstream in_green, in_primary;
    CUdeviceptr kept;
    unsigned word = 0;
    int version = 0;

    OK(cuInit(0));
    OK(cuDriverGetVersion(&version));
    OK(cuDevicePrimaryCtxRetain(&primary, 0));
    OK(cuCtxSetCurrent(primary));
    OK(cuMemAlloc(&count, 4));
    if (version < 12050) {
        puts("no green contexts");
        return 0;
    }
    OK(cuStreamCreate(&in_primary, CU_STREAM_NON_BLOCKING));
    OK(cuDeviceGetDevResource(0, &multiprocessors, CU_DEV_RESOURCE_TYPE_SM));
    OK(cuDevResourceGenerateDesc(&description, &multiprocessors, 1));
    OK(cuGreenCtxCreate(&green, description, 0, CU_GREEN_CTX_DEFAULT_STREAM));
    OK(cuGreenCtxStreamCreate(&in_green, green, CU_STREAM_NON_BLOCKING, 0));
    OK(cuCtxFromGreenCtx(&context, green));
    /* Kernels are loaded before anything is late. */
    drv_check(count, 1, 0, count, 0, in_primary);
    OK(cuStreamSynchronize(in_primary));
    drv_fill(count, 1, 0, 0, in_green);
    OK(cuStreamSynchronize(in_green));

    overwrite("all in the primary one", primary, primary, in_primary, in_primary);
    overwrite("read in the green one", primary, primary, in_green, in_primary);
    overwrite("written in the green one", primary, primary, in_primary, in_green);
    overwrite("allocated in the green one", context, primary, in_primary, in_green);
    overwrite("freed in the green one", primary, context, in_primary, in_green);
    overwrite("all but the reader in the green one", context, context, in_primary, in_green);

    /* Memory is the primary context's: it stays when the green one goes. */
    OK(cuCtxSetCurrent(context));
    OK(cuMemAlloc(&kept, MIB));
    OK(cuMemsetD32(kept, 5, MIB / 4));
    OK(cuCtxSynchronize());
    OK(cuCtxSetCurrent(primary));
    OK(cuStreamDestroy(in_green));
    OK(cuGreenCtxDestroy(green));
    OK(cuMemcpyDtoH(&word, kept + MIB / 2, 4));
    printf("kept: %u\n", word);
    OK(cuMemFree(kept));
    OK(cuMemAlloc(&kept, MIB));
    OK(cuMemFree(kept));
    OK(cuMemFree(count));
    OK(cuDevicePrimaryCtxRelease(0));
    return 0;
}

#else
int main(void)
{
    puts("no green contexts");
    return 0;
}
#endif
