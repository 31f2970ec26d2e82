/* Devices, the threads' contexts, and the threads' last errors. */
#include "internal.h"

#include <pthread.h>

enum { MAX_DEVICES = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CUcontext primary[MAX_DEVICES];
/* Counts cudaDeviceReset: threads bind themselves anew afterwards. */
static unsigned generation = 1;

static __thread unsigned bound;
static __thread int chosen_device;
static __thread cudaError_t last_error;

cudaError_t finish(cudaError_t error) {
    if (error != cudaSuccess)
        last_error = error;
    return error;
}

unsigned reset_count(void) { return __atomic_load_n(&generation, __ATOMIC_ACQUIRE); }

static cudaError_t bind_device(int device) {
    pthread_mutex_lock(&lock);
    cudaError_t error = cudaSuccess;
    if (!primary[device])
        error = (cudaError_t)driver.DevicePrimaryCtxRetain(&primary[device], device);
    if (error == cudaSuccess)
        error = (cudaError_t)driver.CtxSetCurrent(primary[device]);
    if (error == cudaSuccess)
        bound = generation;
    pthread_mutex_unlock(&lock);
    return error;
}

cudaError_t enter(void) {
    cudaError_t error = load_driver();
    if (error != cudaSuccess)
        return error;
    if (reset_count() == bound)
        return cudaSuccess;
    CUcontext current = NULL;
    error = (cudaError_t)driver.CtxGetCurrent(&current);
    if (error != cudaSuccess)
        return error;
    /* A context that the program itself has made current stays; one of ours may be stale. */
    if (current && !bound) {
        bound = generation;
        return cudaSuccess;
    }
    return bind_device(chosen_device);
}

EXPORT cudaError_t cudaGetLastError(void) {
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

EXPORT cudaError_t cudaPeekAtLastError(void) { return last_error; }

EXPORT const char *cudaGetErrorName(cudaError_t error) {
    const char *name = NULL;
    if (load_driver() == cudaSuccess)
        driver.GetErrorName((CUresult)error, &name);
    return name ? name : "unrecognized error code";
}

EXPORT const char *cudaGetErrorString(cudaError_t error) {
    const char *text = NULL;
    if (error == cudaErrorInsufficientDriver)
        return "CUDA driver version is insufficient for CUDA runtime version";
    if (load_driver() == cudaSuccess)
        driver.GetErrorString((CUresult)error, &text);
    return text ? text : "unrecognized error code";
}

EXPORT cudaError_t cudaDriverGetVersion(int *version) {
    *version = 0;
    if (load_driver() == cudaErrorInsufficientDriver)
        return cudaSuccess;
    return finish((cudaError_t)driver.DriverGetVersion(version));
}

EXPORT cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

EXPORT cudaError_t cudaGetDeviceCount(int *count) {
    *count = 0;
    cudaError_t error = load_driver();
    return finish(error ? error : (cudaError_t)driver.DeviceGetCount(count));
}

EXPORT cudaError_t cudaGetDevice(int *device) {
    cudaError_t error = load_driver();
    if (error == cudaSuccess)
        *device = chosen_device;
    return finish(error);
}

EXPORT cudaError_t cudaSetDevice(int device) {
    cudaError_t error = load_driver();
    int count = 0;
    if (error == cudaSuccess)
        error = (cudaError_t)driver.DeviceGetCount(&count);
    if (error == cudaSuccess && (device < 0 || device >= count || device >= MAX_DEVICES))
        error = cudaErrorInvalidDevice;
    if (error == cudaSuccess) {
        chosen_device = device;
        error = bind_device(device);
    }
    return finish(error);
}

EXPORT cudaError_t cudaDeviceGetAttribute(int *value, int attribute, int device) {
    cudaError_t error = load_driver();
    return finish(error ? error
                        : (cudaError_t)driver.DeviceGetAttribute(value, attribute, device));
}

EXPORT cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    static const struct {
        size_t offset;
        int attribute;
    } fields[] = {
        {offsetof(struct cudaDeviceProp, warpSize), 10},
        {offsetof(struct cudaDeviceProp, multiProcessorCount), 16},
        {offsetof(struct cudaDeviceProp, unifiedAddressing), 41},
        {offsetof(struct cudaDeviceProp, major), 75},
        {offsetof(struct cudaDeviceProp, minor), 76},
        {offsetof(struct cudaDeviceProp, managedMemory), 83},
        {offsetof(struct cudaDeviceProp, pageableMemoryAccess), 88},
    };
    cudaError_t error = load_driver();
    if (error == cudaSuccess)
        error = (cudaError_t)driver.DeviceGetName(properties->name, sizeof properties->name, device);
    if (error == cudaSuccess)
        error = (cudaError_t)driver.DeviceTotalMem(&properties->totalGlobalMem, device);
    for (size_t i = 0; i < sizeof fields / sizeof *fields && error == cudaSuccess; i++) {
        int *field = (int *)((char *)properties + fields[i].offset);
        error = (cudaError_t)driver.DeviceGetAttribute(field, fields[i].attribute, device);
    }
    return finish(error);
}

EXPORT cudaError_t cudaDeviceSynchronize(void) { CALL(CtxSynchronize); }

EXPORT cudaError_t cudaDeviceReset(void) {
    cudaError_t error = load_driver();
    if (error == cudaSuccess) {
        pthread_mutex_lock(&lock);
        error = (cudaError_t)driver.DevicePrimaryCtxReset(chosen_device);
        primary[chosen_device] = NULL;
        __atomic_add_fetch(&generation, 1, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&lock);
    }
    return finish(error);
}

EXPORT cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **function,
                                                    unsigned version, unsigned long long flags,
                                                    enum cudaDriverEntryPointQueryResult *status) {
    CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SUCCESS;
    cudaError_t error = load_driver();
    if (error != cudaSuccess)
        return finish(error);
    CUresult answer;
    if (driver.get_proc_address_v2)
        answer = driver.get_proc_address_v2(symbol, function, (int)version, flags, &found);
    else if (driver.get_proc_address)
        answer = driver.get_proc_address(symbol, function, (int)version, flags);
    else
        return finish(cudaErrorNotSupported);
    if (answer == CUDA_ERROR_NOT_FOUND) {
        /* Not found is told by the status alone, if the caller wants it. */
        if (found == CU_GET_PROC_ADDRESS_SUCCESS)
            found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
        answer = status ? CUDA_SUCCESS : answer;
    }
    if (status)
        *status = (enum cudaDriverEntryPointQueryResult)found;
    return finish((cudaError_t)answer);
}

EXPORT cudaError_t cudaGetDriverEntryPoint(const char *symbol, void **function,
                                           unsigned long long flags,
                                           enum cudaDriverEntryPointQueryResult *status) {
    return cudaGetDriverEntryPointByVersion(symbol, function, CUDART_VERSION, flags, status);
}
