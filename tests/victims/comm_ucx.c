/* The driver calls that UCX and a CUDA-aware MPI make about a program's buffers: which memory it is,
 * the allocation around it, whether it is another one than last time, and handles for other processes.
 * Their memory hooks find the driver's functions by name, at the next object behind them, or by handle. */
#include "drv.h"

#include <dlfcn.h>

typedef CUresult allocate_function(CUdeviceptr *, size_t);
typedef CUresult free_function(CUdeviceptr);

/* What a registration cache keys by. */
static void look_at(const char *what, CUdeviceptr p, unsigned long long *id)
{
    CUmemorytype kind = 0;
    unsigned managed = 0;
    CUdevice device = -1;
    CUcontext context = NULL, current = NULL;
    CUdeviceptr base = 0;
    size_t bytes = 0;
    unsigned long long before = *id;
    CUpointer_attribute attributes[] = {
        CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED,
        CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_CONTEXT};
    void *places[] = {&kind, &managed, &device, &context};
    OK(cuCtxGetCurrent(&current));
    CUresult told = cuPointerGetAttributes(4, attributes, places, p);
    CUresult range = cuMemGetAddressRange(&base, &bytes, p);
    CUresult named = cuPointerGetAttribute(id, CU_POINTER_ATTRIBUTE_BUFFER_ID, p);
    printf("%s: %d, type %d, managed %d, device %d, %s context, range %d, %zu bytes, id %d %s\n",
           what, (int)told, (int)kind, (int)(managed & 1), (int)device,
           context == NULL ? "no" : context == current ? "the current" : "another", (int)range,
           range == CUDA_SUCCESS ? bytes : 0, (int)named,
           named != CUDA_SUCCESS ? "none" : *id == before ? "as before" : "new");
}

static void hooked(const char *how, void *allocate, void *release)
{
    CUdeviceptr p = 0;
    unsigned word = 0;
    EXPECT(allocate != NULL && release != NULL);
    OK(((allocate_function *)allocate)(&p, MIB));
    OK(cuMemsetD32(p, 9, MIB / 4));
    OK(cuMemcpyDtoH(&word, p + MIB / 2, 4));
    OK(((free_function *)release)(p));
    printf("%s: %u, freed twice %d\n", how, word, (int)((free_function *)release)(p));
}

int main(int argc, char **argv)
{
    int share = argc > 1 && strcmp(argv[1], "share") == 0;
    CUdeviceptr p, q;
    CUipcMemHandle handle;
    CUmemoryPool pool = NULL;
    unsigned long long id = 0;
    unsigned yes = 1;
    int local = 7, descriptor = -1;
    CUcontext context = drv_context();
    OK(cuMemAlloc(&p, 5 * MIB));
    look_at("block", p, &id);
    look_at("inside", p + 3 * MIB, &id);
    look_at("host", (CUdeviceptr)(uintptr_t)&local, &id);
    printf("pool %d", (int)cuPointerGetAttribute(&pool, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
    printf(pool == NULL ? ", none\n" : ", one\n");
    id = 0;
    look_at("block", p, &id);
    OK(cuMemFree(p));
    look_at("freed", p, &id);
    OK(cuMemAlloc(&q, 5 * MIB));
    look_at("next", q, &id);
    if (share) {
        SHOW(cuPointerSetAttribute(&yes, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, q));
        SHOW(cuPointerSetAttribute(&yes, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, q + MIB));
        SHOW(cuIpcGetMemHandle(&handle, q));
        SHOW(cuMemGetHandleForAddressRange(&descriptor, q, 2 * MIB,
                                           CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
    }
    OK(cuMemFree(q));
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY);
    EXPECT(driver != NULL);
    hooked("by the default look-up", dlsym(RTLD_DEFAULT, "cuMemAlloc_v2"),
           dlsym(RTLD_DEFAULT, "cuMemFree_v2"));
    hooked("by the next object", dlsym(RTLD_NEXT, "cuMemAlloc_v2"), dlsym(RTLD_NEXT, "cuMemFree_v2"));
    hooked("by handle", dlsym(driver, "cuMemAlloc_v2"), dlsym(driver, "cuMemFree_v2"));
    hooked("by both", dlsym(driver, "cuMemAlloc_v2"), dlsym(RTLD_DEFAULT, "cuMemFree_v2"));
    OK(cuCtxDestroy(context));
    return 0;
}
