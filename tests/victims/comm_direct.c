/* The driver calls of libraries that let another device at the memory. `gdrcopy`: synchronous
 * operations, tokens, pages of 64 KiB that are pinned from an aligned address on. `cufile`: what the
 * memory is, the allocation around it, a descriptor for parts of it. Each then frees what it has
 * pinned, and gets other memory. */
#include "drv.h"

enum { PAGE = 65536 };

static CUdeviceptr allocate(size_t bytes)
{
    CUdeviceptr p;
    OK(cuMemAlloc(&p, bytes));
    return p;
}

static void gdrcopy(void)
{
    int able = 0;
    OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED, 0));
    printf("direct access: %d\n", able);
    for (unsigned round = 0; round < 3; round++) {
        CUDA_POINTER_ATTRIBUTE_P2P_TOKENS tokens = {0, 0};
        size_t bytes = (3 + round) * PAGE;
        unsigned yes = 1, on = 7, word = 0;
        /* One page more, so that an aligned part of the wanted size is in it. */
        CUdeviceptr p = allocate(bytes + PAGE - 1), base = 0;
        CUdeviceptr aligned = (p + PAGE - 1) / PAGE * PAGE;
        size_t whole = 0;
        SHOW(cuPointerSetAttribute(&yes, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
        CUresult got = cuPointerGetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p);
        printf("set: %d\n", (int)got);
        (void)cuPointerGetAttribute(&tokens, CU_POINTER_ATTRIBUTE_P2P_TOKENS, aligned);
        OK(cuMemGetAddressRange(&base, &whole, aligned));
        printf("range: %s, %zu bytes\n", base == p ? "its own" : "another", whole);
        OK(cuMemsetD32(aligned, round + 1, bytes / 4));
        OK(cuMemcpyDtoH(&word, aligned + bytes - 4, 4));
        OK(cuMemFree(p));
        printf("word %u\n", word);
    }
}

static void cufile(void)
{
    int able = 0;
    OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED, 0));
    for (unsigned round = 0; round < 3; round++) {
        CUmemorytype kind = 0;
        CUdeviceptr start = 0, p = allocate(4 * MIB);
        size_t whole = 0;
        int ordinal = -1, first = -1, second = -1;
        OK(cuPointerGetAttribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 100));
        OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p + 100));
        OK(cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p + MIB));
        OK(cuPointerGetAttribute(&whole, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p + MIB));
        printf("type %d, device %d, %s, %zu bytes\n", (int)kind, ordinal,
               start == p ? "its own" : "another", whole);
        if (able) {
            SHOW(cuMemGetHandleForAddressRange(&first, p, 4 * MIB,
                                               CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
            SHOW(cuMemGetHandleForAddressRange(&second, p + 2 * MIB, PAGE,
                                               CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0));
            close(first);
            close(second);
        }
        OK(cuMemFree(p));
        if (able)
            printf("freed: %s\n", cuMemGetHandleForAddressRange(&first, p, 4 * MIB,
                                                                CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0)
                                          == CUDA_SUCCESS
                                      ? "a handle"
                                      : "none");
    }
}

int main(int argc, char **argv)
{
    CUcontext context = drv_context();
    if (argc > 1 && strcmp(argv[1], "gdrcopy") == 0)
        gdrcopy();
    else
        cufile();
    OK(cuCtxDestroy(context));
    return 0;
}
