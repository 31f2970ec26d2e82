/* Allocates and frees while a stream is being captured, in each of the three modes, and in
 * relaxed code inside a stricter capture; prints what each call and the end of the capture say,
 * and runs the graph where there is one. */
#include "rt.h"

static const char *names[] = {"global", "thread-local", "relaxed"};

enum what { NOTHING, ALLOC, RELEASE, RELAXED_BOTH };

static void capture(enum cudaStreamCaptureMode mode, enum what what)
{
    static const char *whats[] = {"nothing", "malloc", "free", "relaxed malloc and free"};
    cudaStream_t stream = rt_stream();
    unsigned *target = rt_alloc(MIB), *before = rt_alloc(MIB);
    void *during = NULL;
    cudaGraph_t graph = NULL;

    printf("%s capture, %s:", names[mode], whats[what]);
    OK(cudaStreamBeginCapture(stream, mode));
    OK(k_fill(target, MIB / 4, 42, 0, stream));
    if (what == ALLOC)
        printf(" malloc %d", (int)cudaMalloc(&during, MIB));
    if (what == RELEASE) {
        int result = cudaFree(before);
        printf(" free %d", result);
        if (result == 0)
            before = NULL;
    }
    if (what == RELAXED_BOTH) {
        enum cudaStreamCaptureMode exchange = cudaStreamCaptureModeRelaxed;
        OK(cudaThreadExchangeStreamCaptureMode(&exchange));
        printf(" malloc %d", (int)cudaMalloc(&during, MIB));
        printf(" free %d", (int)cudaFree(before));
        before = NULL;
        OK(cudaThreadExchangeStreamCaptureMode(&exchange));
    }
    printf(" end %d", (int)cudaStreamEndCapture(stream, &graph));
    cudaGetLastError();
    if (graph != NULL) {
        cudaGraphExec_t exec;
        OK(cudaGraphInstantiate(&exec, graph, 0));
        OK(cudaGraphLaunch(exec, stream));
        OK(cudaStreamSynchronize(stream));
        printf(" wrong words %u", rt_mismatches(target, MIB / 4, 42));
        OK(cudaGraphExecDestroy(exec));
        OK(cudaGraphDestroy(graph));
    }
    printf("\n");
    OK(cudaFree(during));
    OK(cudaFree(before));
    OK(cudaFree(target));
    OK(cudaStreamDestroy(stream));
}

int main(void)
{
    for (int mode = 0; mode < 3; mode++) {
        for (int what = NOTHING; what <= RELAXED_BOTH; what++)
            capture((enum cudaStreamCaptureMode)mode, (enum what)what);
    }
    return 0;
}
