/* Calls that take memory of the device beside its allocations. Before each of them the program has
 * freed a block: what is lacking then, a cache must give back. */
#include "drv.h"

static void allocate_and_free(void)
{
    CUdeviceptr p;
    OK(cuMemAlloc(&p, 64 * MIB));
    OK(cuMemFree(p));
}

#define TRY(call)                                                                                \
    do {                                                                                         \
        allocate_and_free();                                                                     \
        SHOW(call);                                                                              \
    } while (0)

int main(void)
{
    CUcontext context = drv_context(), other;
    CUdeviceptr p;
    CUstream stream;
    CUevent event;
    CUmodule module;
    CUfunction function;
    CUgraph graph;
    CUgraphExec executable;
    size_t pitch;

    TRY(cuMemAllocPitch(&p, &pitch, 1000, 1000, 4));
    OK(cuMemFree(p));
    TRY(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamDestroy(stream));
    TRY(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, 0));
    TRY(cuEventCreate(&event, 0));
    TRY(cuMemAllocAsync(&p, MIB, stream));
    OK(cuStreamSynchronize(stream));
    OK(cuMemFree(p));

    OK(cuMemAlloc(&p, MIB));
    TRY(cuModuleLoad(&module, getenv("VICTIM_KERNELS")));
    TRY(cuModuleGetFunction(&function, module, "fill"));
    allocate_and_free();
    drv_fill(p, MIB / 4, 1, 0, stream);
    OK(cuStreamSynchronize(stream));
    OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    drv_fill(p, MIB / 4, 2, 0, stream);
    OK(cuStreamEndCapture(stream, &graph));
    TRY(cuGraphInstantiateWithFlags(&executable, graph, 0));
    TRY(cuGraphLaunch(executable, stream));
    OK(cuStreamSynchronize(stream));
    OK(cuMemFree(p));

    TRY(cuMemAllocManaged(&p, MIB, CU_MEM_ATTACH_GLOBAL));
    OK(cuMemFree(p));
    TRY(cuDevicePrimaryCtxRetain(&other, 0));
    TRY(cuCtxCreate_v2(&other, 0, 0));
    OK(cuCtxSetCurrent(context));
    return 0;
}
