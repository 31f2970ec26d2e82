// pointers [fault]: what the driver says of pointers, one line each, for comparing bare with
// pooled. Lines that begin with `sharing`, `vmm`, `width` or `fault` are for people alone.
#include "common.cuh"

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Attribute {
    const char *name;
    int number;
};

// What a pooled block answers as natively.
const Attribute ALIKE[] = {
    {"context", 1},     {"memory-type", 2}, {"device-pointer", 3}, {"host-pointer", 4},
    {"buffer-id", 7},   {"managed", 8},     {"device", 9},         {"range-start", 11},
    {"range-size", 12}, {"mapped", 13},     {"access-flags", 16},  {"pool", 17},
};
// What it answers as the memory behind it is.
const Attribute SHARING[] = {
    {"sync-memops", 6}, {"legacy-ipc", 10},  {"handle-types", 14}, {"rdma", 15},
    {"mapping-size", 18}, {"mapping-base", 19}, {"memory-id", 20},
};

constexpr size_t PAGE = 2 << 20;
constexpr unsigned long long UNTOUCHED = 0xcccccccccccccccc;

CUcontext context;

CUresult ask(unsigned long long &value, int attribute, CUdeviceptr pointer) {
    value = 0;
    return DRIVER(cuPointerGetAttribute)(&value, (CUpointer_attribute)attribute, pointer);
}

// The value without an address in it.
std::string told(unsigned long long value, CUdeviceptr pointer, CUdeviceptr start,
                 unsigned long long id) {
    if (context && value == (unsigned long long)(uintptr_t)context) return "its context";
    if (pointer && value == pointer) return value == start ? "the start" : "the address";
    if (start && value == start) return "the start";
    if (id && value == id) return "the block's id";
    char text[32];
    snprintf(text, sizeof text, value >> 40 ? "an address or id" : "%#llx", value);
    return text;
}

unsigned long long id_of(CUdeviceptr pointer) {
    unsigned long long id;
    return ask(id, 7, pointer) == CUDA_SUCCESS ? id : 0;
}

template <size_t N>
void one_by_one(const std::string &name, const Attribute (&attributes)[N], CUdeviceptr pointer,
                CUdeviceptr start, unsigned long long id) {
    for (const Attribute &attribute : attributes) {
        unsigned long long value;
        CUresult result = ask(value, attribute.number, pointer);
        printf("%s-%s: CUresult %d %s\n", name.c_str(), attribute.name, (int)result,
               result == CUDA_SUCCESS ? told(value, pointer, start, id).c_str() : "");
    }
}

void together(const std::string &name, CUdeviceptr pointer, CUdeviceptr start,
              unsigned long long id) {
    constexpr size_t N = sizeof ALIKE / sizeof *ALIKE;
    CUpointer_attribute wanted[N];
    unsigned long long values[N] = {};
    void *places[N];
    for (size_t i = 0; i < N; i++) {
        wanted[i] = (CUpointer_attribute)ALIKE[i].number;
        places[i] = &values[i];
    }
    CUresult result = DRIVER(cuPointerGetAttributes)(N, wanted, places, pointer);
    printf("%s-together: CUresult %d\n", name.c_str(), (int)result);
    for (size_t i = 0; i < N; i++)
        printf("%s-together-%s: %s\n", name.c_str(), ALIKE[i].name,
               told(values[i], pointer, start, id).c_str());
}

// Everything about one address. `start` is 0 where no block is known.
void show(const std::string &name, CUdeviceptr pointer, CUdeviceptr start,
          unsigned long long id) {
    one_by_one(name, ALIKE, pointer, start, id);
    together(name, pointer, start, id);
    CUdeviceptr base = 0;
    size_t size = 0;
    CUresult result = DRIVER(cuMemGetAddressRange)(&base, &size, pointer);
    printf("%s-range: CUresult %d %s %zu\n", name.c_str(), (int)result,
           result != CUDA_SUCCESS ? "" : base == start ? "the start" : "elsewhere", size);
    CUmemGenericAllocationHandle handle;
    result = DRIVER(cuMemRetainAllocationHandle)(&handle, (void *)pointer);
    printf("%s-handle: CUresult %d\n", name.c_str(), (int)result);
    if (result == CUDA_SUCCESS) DRIVER(cuMemRelease)(handle);
    cudaPointerAttributes seen;
    cudaError_t error = cudaPointerGetAttributes(&seen, (void *)pointer);
    printf("%s-runtime: %s type %d device %d, device pointer %s, host pointer %s\n", name.c_str(),
           cudaGetErrorName(error), (int)seen.type, seen.device,
           told((CUdeviceptr)seen.devicePointer, pointer, start, 0).c_str(),
           told((CUdeviceptr)seen.hostPointer, pointer, start, 0).c_str());
    cudaGetLastError();
    one_by_one("sharing-" + name, SHARING, pointer, start, id);
}

CUdeviceptr allocate(size_t bytes) {
    void *pointer;
    CHECK(cudaMalloc(&pointer, bytes));
    return (CUdeviceptr)pointer;
}

void blocks(const std::string &when) {
    CHECK_DRIVER(DRIVER(cuCtxGetCurrent)(&context));
    for (size_t bytes : {size_t(1000), size_t(300) << 10, (size_t(5) << 20) + 1000,
                         size_t(64) << 20}) {
        std::string size = when + "-" + std::to_string(bytes);
        CUdeviceptr start = allocate(bytes);
        unsigned long long id = id_of(start);
        for (size_t offset : {size_t(0), bytes / 2 + 1, bytes - 1})
            show("live-" + size + "-at-" + std::to_string(offset), start + offset, start, id);
        // Behind its end, where another block may begin natively.
        one_by_one("sharing-behind-" + size, ALIKE, start + bytes, start, id);
        CHECK(cudaFree((void *)start));
        show("freed-" + size, start, start, id);
        show("freed-inside-" + size, start + bytes / 2, start, id);
        CUdeviceptr again = allocate(bytes);
        printf("again-%s: id %s\n", size.c_str(), id_of(again) == id ? "as before" : "new");
        CHECK(cudaFree((void *)again));
    }
}

// How many bytes each attribute has.
void widths() {
    CUdeviceptr start = allocate(4096);
    for (const auto &list : {std::vector<Attribute>(std::begin(ALIKE), std::end(ALIKE)),
                             std::vector<Attribute>(std::begin(SHARING), std::end(SHARING))})
        for (const Attribute &attribute : list) {
            int width = 0;
            for (unsigned long long fill : {UNTOUCHED, ~UNTOUCHED}) {
                unsigned long long value = fill;
                if (DRIVER(cuPointerGetAttribute)(&value, (CUpointer_attribute)attribute.number,
                                                  start) != CUDA_SUCCESS)
                    continue;
                for (int byte = 0; byte < 8; byte++)
                    if ((value ^ fill) >> 8 * byte & 0xff) width = std::max(width, byte + 1);
            }
            printf("width-%s: %d\n", attribute.name, width);
        }
    CHECK(cudaFree((void *)start));
}

struct Mapping {
    CUdeviceptr start = 0;
    CUmemGenericAllocationHandle handle = 0;

    Mapping() {
        CUmemAllocationProp properties = {};
        properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
        properties.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
        properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
        CUmemAccessDesc access = {};
        access.location = properties.location;
        access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        CHECK_DRIVER(DRIVER(cuMemAddressReserve)(&start, 4 * PAGE, 0, 0, 0));
        CHECK_DRIVER(DRIVER(cuMemCreate)(&handle, 2 * PAGE, &properties, 0));
        CHECK_DRIVER(DRIVER(cuMemMap)(start, 2 * PAGE, 0, handle, 0));
        CHECK_DRIVER(DRIVER(cuMemSetAccess)(start, 2 * PAGE, &access, 1));
    }

    // In a thread that has no context.
    void unmap(const char *name) {
        std::thread([&] {
            CUresult unmapped = DRIVER(cuMemUnmap)(start, 2 * PAGE);
            CUresult released = DRIVER(cuMemRelease)(handle);
            CUresult freed = DRIVER(cuMemAddressFree)(start, 4 * PAGE);
            printf("%s: unmap %d release %d free %d\n", name, (int)unmapped, (int)released,
                   (int)freed);
        }).join();
    }
};

// What the driver says of mapped memory itself.
void mappings() {
    Mapping mapping;
    for (const auto &[name, offset] :
         {std::pair{"vmm-mapped", PAGE + 100}, std::pair{"vmm-gap", 3 * PAGE}}) {
        one_by_one(name, ALIKE, mapping.start + offset, mapping.start, 0);
        one_by_one(name, SHARING, mapping.start + offset, mapping.start, 0);
        together(name, mapping.start + offset, mapping.start, 0);
    }
    mapping.unmap("unmap-in-a-thread");
}

// Mappings outlive contexts, and can be undone without one.
void ends() {
    auto create = driver_function<CUresult (*)(CUcontext *, unsigned, CUdevice)>("cuCtxCreate_v2");
    CUcontext other, before;
    CHECK_DRIVER(DRIVER(cuCtxGetCurrent)(&before));
    CHECK_DRIVER(create(&other, 0, 0));
    Mapping of_context;
    CHECK_DRIVER(DRIVER(cuCtxDestroy)(other));
    CHECK_DRIVER(DRIVER(cuCtxSetCurrent)(before));
    of_context.unmap("unmap-after-destroy");
    Mapping of_primary;
    CHECK(cudaDeviceReset());
    of_primary.unmap("unmap-after-reset");
}

__global__ void fault_now(unsigned *nowhere) { *nowhere = 1; }

// Whether virtual memory is to be had in a context that is broken.
void fault() {
    CUevent event;
    CHECK(cudaFree(nullptr));
    CHECK_DRIVER(DRIVER(cuEventCreate)(&event, CU_EVENT_DISABLE_TIMING));
    CUdeviceptr start = 0;
    CUmemGenericAllocationHandle handle = 0;
    CUmemAllocationProp properties = {};
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    fault_now<<<1, 1>>>((unsigned *)16);
    printf("fault-wait: %s\n", cudaGetErrorName(cudaDeviceSynchronize()));
    printf("fault-alloc: %d\n", (int)DRIVER(cuMemAlloc)(&start, 4096));
    printf("fault-query: %d\n", (int)DRIVER(cuEventQuery)(event));
    printf("fault-reserve: %d\n", (int)DRIVER(cuMemAddressReserve)(&start, PAGE, 0, 0, 0));
    printf("fault-create: %d\n", (int)DRIVER(cuMemCreate)(&handle, PAGE, &properties, 0));
    printf("fault-map: %d\n", (int)DRIVER(cuMemMap)(start, PAGE, 0, handle, 0));
}

} // namespace

int main(int argc, char **argv) {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    if (argc > 1 && !strcmp(argv[1], "fault")) {
        fault();
        return 0;
    }
    CHECK(cudaFree(nullptr));
    blocks("first");
    // Where no allocation can be: what freed memory is compared with.
    show("nowhere", 1, 1, 0);
    widths();
    mappings();
    CUdeviceptr lost = allocate(1 << 20);
    ends();
    show("lost", lost, lost, 0);
    blocks("after-reset");
    return 0;
}
