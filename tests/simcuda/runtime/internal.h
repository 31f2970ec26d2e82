/* What the files of the simulated runtime share. Nothing of this is visible outside. */
#ifndef SIMCUDART_INTERNAL_H
#define SIMCUDART_INTERNAL_H

#include <cuda.h>
#include <cuda_runtime.h>

#define EXPORT __attribute__((visibility("default")))
#define HIDDEN __attribute__((visibility("hidden")))

/* Every driver function used: name, the version to ask for, parameters. */
#define DRIVER_FUNCTIONS(X)                                                                       \
    X(Init, 2000, (unsigned))                                                                     \
    X(DriverGetVersion, 2020, (int *))                                                            \
    X(GetErrorName, 6000, (CUresult, const char **))                                              \
    X(GetErrorString, 6000, (CUresult, const char **))                                            \
    X(DeviceGet, 2000, (CUdevice *, int))                                                         \
    X(DeviceGetCount, 2000, (int *))                                                              \
    X(DeviceGetName, 2000, (char *, int, CUdevice))                                               \
    X(DeviceTotalMem, 3020, (size_t *, CUdevice))                                                 \
    X(DeviceGetAttribute, 2000, (int *, int, CUdevice))                                           \
    X(DevicePrimaryCtxRetain, 7000, (CUcontext *, CUdevice))                                      \
    X(DevicePrimaryCtxReset, 11000, (CUdevice))                                                   \
    X(CtxGetCurrent, 4000, (CUcontext *))                                                         \
    X(CtxSetCurrent, 4000, (CUcontext))                                                           \
    X(CtxGetDevice, 2000, (CUdevice *))                                                           \
    X(CtxSynchronize, 2000, (void))                                                               \
    X(MemAlloc, 3020, (CUdeviceptr *, size_t))                                                    \
    X(MemAllocPitch, 3020, (CUdeviceptr *, size_t *, size_t, size_t, unsigned))                   \
    X(MemFree, 3020, (CUdeviceptr))                                                               \
    X(MemGetInfo, 3020, (size_t *, size_t *))                                                     \
    X(MemHostAlloc, 2020, (void **, size_t, unsigned))                                            \
    X(MemFreeHost, 2000, (void *))                                                                \
    X(MemHostRegister, 6050, (void *, size_t, unsigned))                                          \
    X(MemHostUnregister, 4000, (void *))                                                          \
    X(MemAllocManaged, 6000, (CUdeviceptr *, size_t, unsigned))                                   \
    X(MemAllocAsync, 11020, (CUdeviceptr *, size_t, CUstream))                                    \
    X(MemFreeAsync, 11020, (CUdeviceptr, CUstream))                                               \
    X(IpcGetMemHandle, 4010, (CUipcMemHandle *, CUdeviceptr))                                     \
    X(IpcOpenMemHandle, 11000, (CUdeviceptr *, CUipcMemHandle, unsigned))                         \
    X(IpcCloseMemHandle, 4010, (CUdeviceptr))                                                     \
    X(Memcpy, 4000, (CUdeviceptr, CUdeviceptr, size_t))                                           \
    X(MemcpyAsync, 4000, (CUdeviceptr, CUdeviceptr, size_t, CUstream))                            \
    X(MemcpyHtoD, 3020, (CUdeviceptr, const void *, size_t))                                      \
    X(MemcpyHtoDAsync, 3020, (CUdeviceptr, const void *, size_t, CUstream))                       \
    X(MemcpyDtoH, 3020, (void *, CUdeviceptr, size_t))                                            \
    X(MemcpyDtoHAsync, 3020, (void *, CUdeviceptr, size_t, CUstream))                             \
    X(MemcpyDtoD, 3020, (CUdeviceptr, CUdeviceptr, size_t))                                       \
    X(MemcpyDtoDAsync, 3020, (CUdeviceptr, CUdeviceptr, size_t, CUstream))                        \
    X(Memcpy2DUnaligned, 3020, (const CUDA_MEMCPY2D *))                                           \
    X(Memcpy2DAsync, 3020, (const CUDA_MEMCPY2D *, CUstream))                                     \
    X(MemsetD8, 3020, (CUdeviceptr, unsigned char, size_t))                                       \
    X(MemsetD8Async, 3020, (CUdeviceptr, unsigned char, size_t, CUstream))                        \
    X(StreamCreateWithPriority, 5050, (CUstream *, unsigned, int))                                \
    X(StreamDestroy, 4000, (CUstream))                                                            \
    X(StreamSynchronize, 2000, (CUstream))                                                        \
    X(StreamQuery, 2000, (CUstream))                                                              \
    X(StreamWaitEvent, 3020, (CUstream, CUevent, unsigned))                                       \
    X(StreamAddCallback, 5000, (CUstream, CUstreamCallback, void *, unsigned))                    \
    X(StreamBeginCapture, 10010, (CUstream, CUstreamCaptureMode))                                 \
    X(StreamEndCapture, 10000, (CUstream, CUgraph *))                                             \
    X(StreamIsCapturing, 10000, (CUstream, CUstreamCaptureStatus *))                              \
    X(ThreadExchangeStreamCaptureMode, 10010, (CUstreamCaptureMode *))                            \
    X(LaunchHostFunc, 10000, (CUstream, CUhostFn, void *))                                        \
    X(EventCreate, 2000, (CUevent *, unsigned))                                                   \
    X(EventDestroy, 4000, (CUevent))                                                              \
    X(EventRecord, 2000, (CUevent, CUstream))                                                     \
    X(EventQuery, 2000, (CUevent))                                                                \
    X(EventSynchronize, 2000, (CUevent))                                                          \
    X(EventElapsedTime, 2000, (float *, CUevent, CUevent))                                        \
    X(GraphInstantiate, 12000, (CUgraphExec *, CUgraph, unsigned long long))                      \
    X(GraphLaunch, 10000, (CUgraphExec, CUstream))                                                \
    X(GraphExecDestroy, 10000, (CUgraphExec))                                                     \
    X(GraphDestroy, 10000, (CUgraph))                                                             \
    X(ModuleLoadData, 2000, (CUmodule *, const void *))                                           \
    X(ModuleGetFunction, 2000, (CUfunction *, CUmodule, const char *))                            \
    X(LaunchKernel, 4000,                                                                         \
      (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, \
       void **, void **))

struct driver {
#define POINTER(name, version, parameters) CUresult(*name) parameters;
    DRIVER_FUNCTIONS(POINTER)
#undef POINTER
    /* Whichever there is: 12.0 and later, or 11.3. */
    CUresult (*get_proc_address_v2)(const char *, void **, int, cuuint64_t,
                                    CUdriverProcAddressQueryResult *);
    CUresult (*get_proc_address)(const char *, void **, int, cuuint64_t);
};

/* The driver's functions, once enter() has succeeded. */
extern HIDDEN struct driver driver;

/* Finds the driver and fills `driver`, once. cudaErrorInsufficientDriver if there is none. */
HIDDEN cudaError_t load_driver(void);

/* Makes sure that the calling thread has a context. */
HIDDEN cudaError_t enter(void);

/* Counts cudaDeviceReset, which takes all modules with it. */
HIDDEN unsigned reset_count(void);

/* Remembers an error for cudaGetLastError and returns it. */
HIDDEN cudaError_t finish(cudaError_t error);

/* The calls of most functions: enter, call, remember. */
#define CALL(name, ...)                                                                           \
    do {                                                                                          \
        cudaError_t error_ = enter();                                                             \
        if (error_ == cudaSuccess)                                                                \
            error_ = driver.name ? (cudaError_t)driver.name(__VA_ARGS__) : cudaErrorNotSupported; \
        return finish(error_);                                                                    \
    } while (0)

#endif
