/* A kernel faults, and whichever call comes next reports it: that is the one that the command line
 * names, with zeros for its arguments. Allocations and frees report it from then on. */
#include "drv.h"

#include <dlfcn.h>

typedef CUresult any_function(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

int main(int argc, char **argv)
{
    CUdeviceptr held, freed, foreign, more = 0;
    CUstream stream;
    CUevent event;
    any_function *function = NULL;
    const char *name = argc > 2 ? argv[2] : "";
    static uint64_t zeros[64];

    drv_context();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    if (strcmp(argv[1], "dlsym") == 0)
        function = (any_function *)dlsym(dlopen("libcuda.so.1", RTLD_NOW), name);
    else
        OK(cuGetProcAddress(name, (void **)&function, atoi(argv[3]), strtoull(argv[4], NULL, 0), NULL));
    EXPECT(function != NULL);
    OK(cuMemAllocAsync(&foreign, MIB, stream));
    OK(cuMemAlloc(&held, MIB));
    OK(cuMemAlloc(&freed, MIB));
    /* What would be handed out again. */
    OK(cuMemFree(freed));
    OK(cuCtxSynchronize());

    OK(cuLaunchKernel(drv_kernel("fault"), 1, 1, 1, 1, 1, 1, 0, stream, NULL, NULL));
    sleep_ms(20);
    uint64_t first = (uintptr_t)zeros;
    if (strcmp(name, "cuMemFree_v2") == 0 || strcmp(name, "cuMemFree") == 0)
        first = foreign;
    else if (strncmp(name, "cuCtx", 5) == 0)
        first = 0;
    printf("heard %d\n", (int)function(first, 0, 0, 0, 0, 0, 0));
    printf("alloc %d\n", (int)cuMemAlloc(&more, MIB));
    printf("free %d\n", (int)cuMemFree(held));
    return 0;
}
