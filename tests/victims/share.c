/* Lets others reach a block in one way, named on the command line, then frees it, and allocates as
 * much again and again. Where the way is refused, the program goes on. */
#include "drv.h"

enum { ROUNDS = 4 };

static int share(const char *way, CUdeviceptr p, size_t bytes)
{
    CUipcMemHandle handle;
    CUmemGenericAllocationHandle memory;
    unsigned yes = 1;
    int descriptor = -1;
    if (strcmp(way, "ipc") == 0)
        return cuIpcGetMemHandle(&handle, p);
    if (strcmp(way, "sync") == 0)
        return cuPointerSetAttribute(&yes, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p);
    if (strcmp(way, "dmabuf") == 0)
        return cuMemGetHandleForAddressRange(&descriptor, p, bytes,
                                             CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0);
    if (strcmp(way, "handle") == 0)
        return cuMemRetainAllocationHandle(&memory, (void *)(uintptr_t)p);
    return 0;
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "not at all";
    CUdeviceptr p, again;
    CUcontext other;
    unsigned word = 0;

    CUcontext context = drv_context();
    OK(cuMemAlloc(&p, 4 * MIB));
    printf("%s: %d\n", way, share(way, p, 4 * MIB));
    printf("inside: %d\n", share(way, p + 2 * MIB, 2 * MIB));
    OK(cuMemFree(p));
    printf("freed: %d\n", share(way, p, 4 * MIB));
    for (int round = 0; round < ROUNDS; round++) {
        OK(cuMemAlloc(&again, 4 * MIB));
        OK(cuMemsetD32(again, round, MIB));
        OK(cuMemcpyDtoH(&word, again + MIB, 4));
        printf("round %d: %u\n", round, word);
        OK(cuMemFree(again));
    }
    /* What comes after is as the program has turned out to need it. */
    OK(cuMemAlloc(&p, 4 * MIB));
    printf("later: %d\n", share(way, p, 4 * MIB));
    OK(cuMemFree(p));
    /* A context of its own gets memory as the program has needed it so far. */
    OK(cuCtxCreate_v2(&other, 0, 0));
    OK(cuMemAlloc(&p, 4 * MIB));
    printf("in another context: %d\n", share(way, p, 4 * MIB));
    OK(cuMemFree(p));
    OK(cuCtxDestroy(other));
    OK(cuCtxDestroy(context));
    return 0;
}
