/* Memory and copies. */
#include "internal.h"

#include <string.h>

static CUdeviceptr address(const void *pointer) { return (CUdeviceptr)(uintptr_t)pointer; }

/* Calls that give a pointer: NULL where they fail. */
#define CALL_FOR_POINTER(name, ...)                                                               \
    do {                                                                                          \
        CUdeviceptr made_ = 0;                                                                    \
        cudaError_t error_ = pointer ? enter() : cudaErrorInvalidValue;                           \
        if (error_ == cudaSuccess)                                                                \
            error_ = driver.name ? (cudaError_t)driver.name(&made_, __VA_ARGS__)                  \
                                 : cudaErrorNotSupported;                                         \
        if (pointer)                                                                              \
            *pointer = error_ ? NULL : (void *)(uintptr_t)made_;                                  \
        return finish(error_);                                                                    \
    } while (0)

EXPORT cudaError_t cudaMalloc(void **pointer, size_t bytes) {
    if (pointer && bytes == 0) {
        *pointer = NULL;
        return finish(enter());
    }
    CALL_FOR_POINTER(MemAlloc, bytes);
}

EXPORT cudaError_t cudaMallocPitch(void **pointer, size_t *pitch, size_t width, size_t height) {
    if (pointer && pitch && width * height == 0) {
        *pointer = NULL;
        *pitch = 0;
        return finish(enter());
    }
    CALL_FOR_POINTER(MemAllocPitch, pitch, width, height, 4);
}

EXPORT cudaError_t cudaMalloc3D(struct cudaPitchedPtr *pitched, struct cudaExtent extent) {
    if (!pitched)
        return finish(cudaErrorInvalidValue);
    pitched->xsize = extent.width;
    pitched->ysize = extent.height;
    return cudaMallocPitch(&pitched->ptr, &pitched->pitch, extent.width,
                           extent.height * extent.depth);
}

EXPORT cudaError_t cudaFree(void *pointer) {
    if (!pointer)
        return finish(enter());
    CALL(MemFree, address(pointer));
}

EXPORT cudaError_t cudaHostAlloc(void **pointer, size_t bytes, unsigned flags) {
    CALL(MemHostAlloc, pointer, bytes, flags);
}

EXPORT cudaError_t cudaMallocHost(void **pointer, size_t bytes) {
    return cudaHostAlloc(pointer, bytes, 0);
}

EXPORT cudaError_t cudaFreeHost(void *pointer) {
    if (!pointer)
        return finish(enter());
    CALL(MemFreeHost, pointer);
}

EXPORT cudaError_t cudaHostRegister(void *pointer, size_t bytes, unsigned flags) {
    CALL(MemHostRegister, pointer, bytes, flags);
}

EXPORT cudaError_t cudaHostUnregister(void *pointer) { CALL(MemHostUnregister, pointer); }

EXPORT cudaError_t cudaMallocManaged(void **pointer, size_t bytes, unsigned flags) {
    CALL_FOR_POINTER(MemAllocManaged, bytes, flags);
}

EXPORT cudaError_t cudaMallocAsync(void **pointer, size_t bytes, cudaStream_t stream) {
    CALL_FOR_POINTER(MemAllocAsync, bytes, stream);
}

EXPORT cudaError_t cudaFreeAsync(void *pointer, cudaStream_t stream) {
    CALL(MemFreeAsync, address(pointer), stream);
}

EXPORT cudaError_t cudaMemGetInfo(size_t *free, size_t *total) { CALL(MemGetInfo, free, total); }

EXPORT cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t *handle, void *pointer) {
    CALL(IpcGetMemHandle, (CUipcMemHandle *)handle, address(pointer));
}

EXPORT cudaError_t cudaIpcOpenMemHandle(void **pointer, cudaIpcMemHandle_t handle,
                                        unsigned flags) {
    CUipcMemHandle given;
    memcpy(&given, &handle, sizeof given);
    CALL_FOR_POINTER(IpcOpenMemHandle, given, flags);
}

EXPORT cudaError_t cudaIpcCloseMemHandle(void *pointer) {
    CALL(IpcCloseMemHandle, address(pointer));
}

EXPORT cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes,
                              enum cudaMemcpyKind kind) {
    switch (kind) {
    case cudaMemcpyHostToDevice: CALL(MemcpyHtoD, address(to), from, bytes);
    case cudaMemcpyDeviceToHost: CALL(MemcpyDtoH, to, address(from), bytes);
    case cudaMemcpyDeviceToDevice: CALL(MemcpyDtoD, address(to), address(from), bytes);
    default: CALL(Memcpy, address(to), address(from), bytes);
    }
}

EXPORT cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                                   enum cudaMemcpyKind kind, cudaStream_t stream) {
    switch (kind) {
    case cudaMemcpyHostToDevice: CALL(MemcpyHtoDAsync, address(to), from, bytes, stream);
    case cudaMemcpyDeviceToHost: CALL(MemcpyDtoHAsync, to, address(from), bytes, stream);
    case cudaMemcpyDeviceToDevice: CALL(MemcpyDtoDAsync, address(to), address(from), bytes, stream);
    default: CALL(MemcpyAsync, address(to), address(from), bytes, stream);
    }
}

static CUDA_MEMCPY2D rectangle(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                               size_t width, size_t height) {
    CUDA_MEMCPY2D copy = {
        .srcMemoryType = CU_MEMORYTYPE_UNIFIED,
        .srcDevice = address(from),
        .srcPitch = from_pitch,
        .dstMemoryType = CU_MEMORYTYPE_UNIFIED,
        .dstDevice = address(to),
        .dstPitch = to_pitch,
        .WidthInBytes = width,
        .Height = height,
    };
    return copy;
}

EXPORT cudaError_t cudaMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                                size_t width, size_t height, enum cudaMemcpyKind kind) {
    (void)kind;
    CUDA_MEMCPY2D copy = rectangle(to, to_pitch, from, from_pitch, width, height);
    CALL(Memcpy2DUnaligned, &copy);
}

EXPORT cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from,
                                     size_t from_pitch, size_t width, size_t height,
                                     enum cudaMemcpyKind kind, cudaStream_t stream) {
    (void)kind;
    CUDA_MEMCPY2D copy = rectangle(to, to_pitch, from, from_pitch, width, height);
    CALL(Memcpy2DAsync, &copy, stream);
}

EXPORT cudaError_t cudaMemset(void *pointer, int value, size_t count) {
    CALL(MemsetD8, address(pointer), (unsigned char)value, count);
}

EXPORT cudaError_t cudaMemsetAsync(void *pointer, int value, size_t count, cudaStream_t stream) {
    CALL(MemsetD8Async, address(pointer), (unsigned char)value, count, stream);
}
