/* The driver calls that NCCL makes: buffers of its own by virtual memory management, shared by
 * descriptor; the program's buffers registered by what their memory can do. What cannot be registered
 * is copied through a buffer of its own: in any case the data arrives. */
#include "drv.h"

static const CUmemAllocationHandleType DESCRIPTOR = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;

struct buffer {
    CUdeviceptr address;
    CUmemGenericAllocationHandle handle;
    size_t bytes;
};

static void map(struct buffer *buffer)
{
    CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    OK(cuMemAddressReserve(&buffer->address, buffer->bytes, 0, 0, 0));
    OK(cuMemMap(buffer->address, buffer->bytes, 0, buffer->handle, 0));
    OK(cuMemSetAccess(buffer->address, buffer->bytes, &access, 1));
}

static void drop(struct buffer *buffer)
{
    OK(cuMemUnmap(buffer->address, buffer->bytes));
    OK(cuMemRelease(buffer->handle));
    OK(cuMemAddressFree(buffer->address, buffer->bytes));
}

/* The same memory at another address, as another rank has it. */
static struct buffer imported(const struct buffer *buffer)
{
    struct buffer copy = *buffer;
    int descriptor = -1;
    OK(cuMemExportToShareableHandle(&descriptor, buffer->handle, DESCRIPTOR, 0));
    OK(cuMemImportFromShareableHandle(&copy.handle, (void *)(intptr_t)descriptor, DESCRIPTOR));
    close(descriptor);
    map(&copy);
    return copy;
}

static struct buffer own_buffer(size_t bytes)
{
    struct buffer buffer = {0, 0, bytes};
    CUmemAllocationProp properties, told;
    CUmemGenericAllocationHandle again;
    size_t granularity;
    int rdma = 0;
    memset(&properties, 0, sizeof properties);
    memset(&told, 0, sizeof told);
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    properties.requestedHandleTypes = DESCRIPTOR;
    OK(cuDeviceGetAttribute(&rdma, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED, 0));
    properties.allocFlags.gpuDirectRDMACapable = (unsigned char)rdma;
    OK(cuMemGetAllocationGranularity(&granularity, &properties,
                                     CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
    buffer.bytes = (bytes + granularity - 1) / granularity * granularity;
    OK(cuMemCreate(&buffer.handle, buffer.bytes, &properties, 0));
    map(&buffer);
    OK(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(buffer.address + 512)));
    OK(cuMemGetAllocationPropertiesFromHandle(&told, again));
    printf("own buffer: type %d, device %d, handle types %d, rdma %s\n", (int)told.type,
           told.location.id, (int)told.requestedHandleTypes,
           told.allocFlags.gpuDirectRDMACapable == rdma ? "as asked for" : "otherwise");
    OK(cuMemRelease(again));
    return buffer;
}

/* Registers a part of the program's buffer as `ncclCommRegister` does: the range that it lies in, then
 * the ways to share that, best first. */
static const char *registered(CUdeviceptr p, size_t bytes, const char **way)
{
    CUdeviceptr base = 0;
    size_t whole = 0;
    CUmemGenericAllocationHandle handle;
    CUipcMemHandle legacy;
    int capable = 0, descriptor = -1, dma_buf = 0;
    OK(cuMemGetAddressRange(&base, &whole, p));
    EXPECT(base <= p && p + bytes <= base + whole);
    OK(cuPointerGetAttribute(&capable, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, p));
    OK(cuDeviceGetAttribute(&dma_buf, CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED, 0));
    if (dma_buf) {
        size_t page = 65536;
        CUdeviceptr start = p / page * page;
        size_t length = (p + bytes - start + page - 1) / page * page;
        if (start >= base && start + length <= base + whole
            && cuMemGetHandleForAddressRange(&descriptor, start, length,
                                             CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD, 0) == 0)
            close(descriptor);
    }
    if (cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)base) == CUDA_SUCCESS) {
        OK(cuMemRelease(handle));
        *way = "by its allocation handle";
    } else if (capable && cuIpcGetMemHandle(&legacy, base) == CUDA_SUCCESS) {
        *way = "by legacy IPC";
    } else {
        *way = "not at all";
    }
    return whole == bytes + 1000 ? "the block" : "something else";
}

int main(int argc, char **argv)
{
    /* What the ways are is told only where it is asked for: natively it is another. */
    int tell = argc > 1 && strcmp(argv[1], "ways") == 0;
    static unsigned host[MIB / 4];
    CUstream stream;
    CUcontext context;
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&context, 0));
    OK(cuCtxSetCurrent(context));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    struct buffer mine = own_buffer(4 * MIB), theirs = imported(&mine);

    for (unsigned round = 1; round <= 4; round++) {
        CUdeviceptr send, receive;
        const char *way = "";
        size_t bytes = round * MIB - 1000;
        CUmemorytype kind = 0;
        CUcontext of = NULL;
        int ordinal = -1;
        unsigned wrong = 0;
        unsigned managed = 2;
        CUpointer_attribute attributes[] = {
            CU_POINTER_ATTRIBUTE_CONTEXT, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
            CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CU_POINTER_ATTRIBUTE_IS_MANAGED};
        void *places[] = {&of, &kind, &ordinal, &managed};
        OK(cuMemAlloc(&send, bytes + 1000));
        OK(cuMemAlloc(&receive, bytes + 1000));
        OK(cuPointerGetAttributes(4, attributes, places, send + 100));
        printf("round %u: %s, type %d, device %d, managed %d, in %s", round,
               of == context ? "this context" : "another", (int)kind, ordinal, (int)(managed & 1),
               registered(send, bytes, &way));
        printf(tell ? ", registered %s\n" : "\n", way);
        /* As one rank's kernel writes what another's reads. */
        drv_fill(send, bytes / 4, round, 0, stream);
        OK(cuMemcpyDtoDAsync(mine.address, send, bytes, stream));
        OK(cuMemcpyDtoDAsync(receive, theirs.address, bytes, stream));
        OK(cuStreamSynchronize(stream));
        OK(cuMemcpyDtoH(host, receive, bytes < MIB ? bytes : MIB));
        for (size_t i = 0; i < (bytes < MIB ? bytes : MIB) / 4; i++)
            wrong += host[i] != round;
        printf("%u wrong words\n", wrong);
        OK(cuMemFree(send));
        OK(cuMemFree(receive));
    }
    drop(&theirs);
    drop(&mine);
    OK(cuDevicePrimaryCtxRelease(0));
    return 0;
}
