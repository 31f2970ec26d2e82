/* Stream-ordered allocations, whose freed memory the driver is told to keep. Where there is an
 * empty_cache, it gives that back; what is in use stays. With `capture`, it is called while a stream
 * captures. */
#include "drv.h"

#include "cupool.h"

#pragma weak empty_cache

static CUmemoryPool pool;

static const char *reserved(void)
{
    unsigned long long bytes = 0;
    OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &bytes));
    return bytes >= 96 * MIB ? "all" : bytes >= 32 * MIB ? "what is in use" : "nothing";
}

static CUdeviceptr allocate(CUstream stream, size_t bytes, unsigned value)
{
    CUdeviceptr p;
    OK(cuMemAllocAsync(&p, bytes, stream));
    drv_fill(p, bytes / 4, value, 0, stream);
    return p;
}

static unsigned first_word(CUdeviceptr p)
{
    unsigned word = 0;
    OK(cuMemcpyDtoH(&word, p, sizeof word));
    return word;
}

int main(int argc, char **argv)
{
    unsigned long long keep = ~0ull;
    int capturing = argc > 1 && strcmp(argv[1], "capture") == 0;
    CUcontext context;
    CUstream stream;
    CUgraph graph;
    CUgraphExec executable;

    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&context, 0));
    OK(cuCtxSetCurrent(context));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuDeviceGetDefaultMemPool(&pool, 0));
    OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));

    CUdeviceptr kept = allocate(stream, 32 * MIB, 7), gone = allocate(stream, 64 * MIB, 8);
    OK(cuMemFreeAsync(gone, stream));
    OK(cuStreamSynchronize(stream));
    printf("before: %s\n", reserved());
    if (capturing) {
        OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
        drv_fill(kept, MIB, 9, 0, stream);
    }
    if (empty_cache)
        empty_cache();
    if (capturing) {
        SHOW(cuStreamEndCapture(stream, &graph));
        OK(cuGraphInstantiateWithFlags(&executable, graph, 0));
        OK(cuGraphLaunch(executable, stream));
        OK(cuStreamSynchronize(stream));
    }
    printf("after: %s\n", reserved());
    printf("in use: %u\n", first_word(kept));
    OK(cuMemFreeAsync(kept, stream));
    gone = allocate(stream, 64 * MIB, 10);
    OK(cuStreamSynchronize(stream));
    printf("again: %u\n", first_word(gone));
    return 0;
}
