// A driver that answers at once: what is measured in front of it is the library alone.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int CUresult;
#define API __attribute__((visibility("default"))) CUresult

enum { SUCCESS = 0, NOT_FOUND = 500, PAGEABLE_MEMORY_ACCESS = 88 };

API cuInit(unsigned flags) { return SUCCESS; }
API cuDriverGetVersion(int *version) { return *version = 13000, SUCCESS; }
API cuGetProcAddress(const char *name, void **found, int version, uint64_t flags);

API cuCtxGetCurrent(uintptr_t *context) { return *context = 1, SUCCESS; }
API cuCtxPushCurrent_v2(uintptr_t context) { return SUCCESS; }
API cuCtxPopCurrent_v2(uintptr_t *context) { return *context = 1, SUCCESS; }
API cuCtxGetDevice(int *device) { return *device = 0, SUCCESS; }
API cuCtxSynchronize(void) { return SUCCESS; }
API cuCtxRecordEvent(uintptr_t context, uintptr_t event) { return SUCCESS; }
API cuCtxWaitEvent(uintptr_t context, uintptr_t event) { return SUCCESS; }
API cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { return *active = 1, SUCCESS; }
API cuDevicePrimaryCtxRetain(uintptr_t *context, int device) { return *context = 1, SUCCESS; }
API cuDevicePrimaryCtxRelease(int device) { return SUCCESS; }

API cuDeviceGetName(char *name, int size, int device) { return *name = 0, SUCCESS; }
API cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = (size_t)1 << 37, SUCCESS; }
API cuDeviceGetAttribute(int *value, int attribute, int device) {
    return *value = attribute != PAGEABLE_MEMORY_ACCESS, SUCCESS;
}

API cuEventCreate(uintptr_t *event, unsigned flags) { return *event = 1, SUCCESS; }
API cuEventQuery(uintptr_t event) { return SUCCESS; }
API cuEventSynchronize(uintptr_t event) { return SUCCESS; }
API cuThreadExchangeStreamCaptureMode(int *mode) { return *mode = 0, SUCCESS; }
API cuStreamIsCapturing(uintptr_t stream, int *status) { return *status = 0, SUCCESS; }

static uint64_t next = (uint64_t)1 << 33;

API cuMemAlloc_v2(uint64_t *ptr, size_t bytes) {
    *ptr = next;
    next += (bytes + 0x1fffff) & ~(size_t)0x1fffff;
    return SUCCESS;
}
API cuMemFree_v2(uint64_t ptr) { return SUCCESS; }

API cuGetProcAddress(const char *name, void **found, int version, uint64_t flags) {
    static const struct { const char *name; void *function; } offered[] = {
        {"cuCtxRecordEvent", cuCtxRecordEvent},
        {"cuCtxWaitEvent", cuCtxWaitEvent},
    };
    for (size_t i = 0; i < sizeof offered / sizeof *offered; i++)
        if (!strcmp(name, offered[i].name)) return *found = offered[i].function, SUCCESS;
    return *found = NULL, NOT_FOUND;
}
