/* Streams, events, captures, graphs and launches. */
#include "internal.h"

EXPORT cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    return cudaStreamCreateWithPriority(stream, 0, 0);
}

EXPORT cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    return cudaStreamCreateWithPriority(stream, flags, 0);
}

EXPORT cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags,
                                                int priority) {
    CALL(StreamCreateWithPriority, stream, flags, priority);
}

EXPORT cudaError_t cudaStreamDestroy(cudaStream_t stream) { CALL(StreamDestroy, stream); }

EXPORT cudaError_t cudaStreamSynchronize(cudaStream_t stream) { CALL(StreamSynchronize, stream); }

EXPORT cudaError_t cudaStreamQuery(cudaStream_t stream) { CALL(StreamQuery, stream); }

EXPORT cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    CALL(StreamWaitEvent, stream, event, flags);
}

EXPORT cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t callback,
                                         void *data, unsigned flags) {
    /* Both kinds of callback differ in the name of the status's type only. */
    CALL(StreamAddCallback, stream, (CUstreamCallback)callback, data, flags);
}

EXPORT cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data) {
    CALL(LaunchHostFunc, stream, function, data);
}

EXPORT cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    CALL(StreamBeginCapture, stream, (CUstreamCaptureMode)mode);
}

EXPORT cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    CALL(StreamEndCapture, stream, graph);
}

EXPORT cudaError_t cudaStreamIsCapturing(cudaStream_t stream,
                                         enum cudaStreamCaptureStatus *status) {
    CALL(StreamIsCapturing, stream, (CUstreamCaptureStatus *)status);
}

EXPORT cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode) {
    CALL(ThreadExchangeStreamCaptureMode, (CUstreamCaptureMode *)mode);
}

EXPORT cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return cudaEventCreateWithFlags(event, 0);
}

EXPORT cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    CALL(EventCreate, event, flags);
}

EXPORT cudaError_t cudaEventDestroy(cudaEvent_t event) { CALL(EventDestroy, event); }

EXPORT cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    CALL(EventRecord, event, stream);
}

EXPORT cudaError_t cudaEventQuery(cudaEvent_t event) { CALL(EventQuery, event); }

EXPORT cudaError_t cudaEventSynchronize(cudaEvent_t event) { CALL(EventSynchronize, event); }

EXPORT cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
    CALL(EventElapsedTime, milliseconds, start, end);
}

EXPORT cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph,
                                        unsigned long long flags) {
    CALL(GraphInstantiate, executable, graph, flags);
}

EXPORT cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    CALL(GraphLaunch, executable, stream);
}

EXPORT cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    CALL(GraphExecDestroy, executable);
}

EXPORT cudaError_t cudaGraphDestroy(cudaGraph_t graph) { CALL(GraphDestroy, graph); }

EXPORT cudaError_t simLaunch(const char *kernel, void **args, cudaStream_t stream) {
    static __thread CUmodule module;
    static __thread unsigned loaded;
    cudaError_t error = enter();
    CUfunction function;
    if (error == cudaSuccess && loaded != reset_count()) {
        error = (cudaError_t)driver.ModuleLoadData(&module, "simcuda kernels");
        if (error == cudaSuccess)
            loaded = reset_count();
    }
    if (error == cudaSuccess)
        error = (cudaError_t)driver.ModuleGetFunction(&function, module, kernel);
    if (error == cudaSuccess)
        error = (cudaError_t)driver.LaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, args, NULL);
    return finish(error);
}
