// What allocation and free answer to every kind of misuse, and what they leave
// as the runtime's last error: one line each, for comparing bare with pooled.
// Addresses are never printed, only relations between them.
#include "common.cuh"

#include <cstdint>

namespace {

const size_t IMPOSSIBLE = size_t(1) << 60;
void *const UNTOUCHED = (void *)0x5151;

void line(const char *name, cudaError_t result, const char *more = "") {
    cudaError_t peeked = cudaPeekAtLastError();
    cudaError_t taken = cudaGetLastError();
    printf("%s: %s last=%s,%s%s\n", name, cudaGetErrorName(result), cudaGetErrorName(peeked),
           cudaGetErrorName(taken), more);
}

void driver_line(const char *name, CUresult result, const char *more = "") {
    cudaError_t taken = cudaGetLastError();
    printf("%s: CUresult %d last=%s%s\n", name, (int)result, cudaGetErrorName(taken), more);
}

const char *pointer_state(const void *pointer) {
    return pointer == nullptr ? " pointer=NULL" : pointer == UNTOUCHED ? " pointer=untouched"
                                                                       : " pointer=set";
}

void allocate(const char *name, size_t bytes) {
    void *pointer = UNTOUCHED;
    cudaError_t result = cudaMalloc(&pointer, bytes);
    line(name, result, pointer_state(pointer));
    if (result == cudaSuccess) cudaFree(pointer);
}

void runtime_allocations() {
    allocate("malloc-0", 0);
    allocate("malloc-1", 1);
    allocate("malloc-impossible", IMPOSSIBLE);
    allocate("malloc-size-max", SIZE_MAX);
    size_t available, total;
    CHECK(cudaMemGetInfo(&available, &total));
    allocate("malloc-more-than-the-device", total + (1u << 20));
    line("malloc-into-null", cudaMalloc((void **)nullptr, 256));
    allocate("malloc-after-errors", 1 << 20);
    void *pointer = UNTOUCHED;
    size_t pitch = 0;
    line("malloc-pitch", cudaMallocPitch(&pointer, &pitch, 100, 10),
         pitch >= 100 && pitch % 32 == 0 ? " pitch=good" : " pitch=bad");
    line("free-pitch", cudaFree(pointer));
    pointer = UNTOUCHED;
    line("malloc-pitch-impossible", cudaMallocPitch(&pointer, &pitch, IMPOSSIBLE, 16),
         pointer_state(pointer));
    cudaPitchedPtr box = {};
    line("malloc-3d", cudaMalloc3D(&box, make_cudaExtent(64, 8, 8)));
    line("free-3d", cudaFree(box.ptr));
}

void runtime_frees() {
    line("free-null", cudaFree(nullptr));
    for (size_t bytes : {size_t(1024), size_t(1) << 20, size_t(64) << 20}) {
        char name[64], *pointer;
        CHECK(cudaMalloc(&pointer, bytes));
        snprintf(name, sizeof name, "free-interior-%zu", bytes);
        line(name, cudaFree(pointer + 512));
        snprintf(name, sizeof name, "free-interior-aligned-%zu", bytes);
        line(name, cudaFree(pointer + bytes / 2));
        snprintf(name, sizeof name, "free-%zu", bytes);
        line(name, cudaFree(pointer));
        snprintf(name, sizeof name, "free-twice-%zu", bytes);
        line(name, cudaFree(pointer));
        snprintf(name, sizeof name, "free-thrice-%zu", bytes);
        line(name, cudaFree(pointer));
    }
    int on_stack = 0;
    line("free-host-pointer", cudaFree(&on_stack));
    line("free-garbage", cudaFree((void *)0x123456789000));
    allocate("malloc-after-bad-frees", 4096);
}

// The runtime's last error is the program's: a success must not clear it.
void last_error() {
    void *pointer;
    cudaMalloc(&pointer, IMPOSSIBLE);
    void *good;
    cudaError_t result = cudaMalloc(&good, 4096);
    line("malloc-keeps-last-error", result);
    cudaMalloc(&pointer, IMPOSSIBLE);
    result = cudaFree(good);
    line("free-keeps-last-error", result);
}

void other_owners() {
    void *pointer;
    CHECK(cudaMallocAsync(&pointer, 4096, 0));
    line("free-of-malloc-async", cudaFree(pointer));
    line("free-twice-of-malloc-async", cudaFree(pointer));
    cudaArray_t array;
    cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
    line("malloc-array", cudaMallocArray(&array, &format, 64, 64));
    line("free-array", cudaFreeArray(array));
}

void attributes() {
    char *pointer;
    cudaPointerAttributes seen;
    CHECK(cudaMalloc(&pointer, 4096));
    cudaError_t result = cudaPointerGetAttributes(&seen, pointer + 100);
    line("attributes-of-allocated", result,
         seen.type == cudaMemoryTypeDevice && seen.device == 0 && seen.devicePointer == pointer + 100
             ? " device memory"
             : " something else");
    CHECK(cudaFree(pointer));
}

void driver_calls() {
    auto allocate = DRIVER(cuMemAlloc);
    auto release = DRIVER(cuMemFree);
    auto allocate_pitch = DRIVER(cuMemAllocPitch);
    auto range = DRIVER(cuMemGetAddressRange);
    CUdeviceptr pointer = (CUdeviceptr)UNTOUCHED;
    driver_line("driver-alloc-0", allocate(&pointer, 0), pointer_state((void *)pointer));
    driver_line("driver-alloc-into-null", allocate(nullptr, 256));
    driver_line("driver-free-0", release(0));
    pointer = (CUdeviceptr)UNTOUCHED;
    driver_line("driver-alloc-impossible", allocate(&pointer, IMPOSSIBLE));
    driver_line("driver-alloc", allocate(&pointer, 3000));
    CUdeviceptr base = 0;
    size_t size = 0;
    CUresult result = range(&base, &size, pointer + 1000);
    driver_line("driver-address-range", result,
                base == pointer && size == 3000 ? " exact" : " not the block");
    driver_line("driver-free-interior", release(pointer + 256));
    driver_line("driver-free", release(pointer));
    driver_line("driver-free-twice", release(pointer));
    driver_line("driver-free-garbage", release(0x123456789000));
    size_t pitch;
    driver_line("driver-alloc-pitch", allocate_pitch(&pointer, &pitch, 100, 10, 4));
    driver_line("driver-free-pitch", release(pointer));
    driver_line("driver-alloc-pitch-element-3", allocate_pitch(&pointer, &pitch, 100, 10, 3));
    // The same memory through both doors.
    driver_line("driver-alloc-for-runtime", allocate(&pointer, 4096));
    line("runtime-frees-driver-memory", cudaFree((void *)pointer));
    void *other;
    line("runtime-malloc-for-driver", cudaMalloc(&other, 4096));
    driver_line("driver-frees-runtime-memory", release((CUdeviceptr)other));
}

void after_reset() {
    void *pointer;
    CHECK(cudaMalloc(&pointer, 1 << 20));
    line("reset", cudaDeviceReset());
    line("free-after-reset", cudaFree(pointer));
    allocate("malloc-after-reset", 1 << 20);
}

} // namespace

int main() {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    CHECK(cudaFree(nullptr));
    runtime_allocations();
    runtime_frees();
    last_error();
    other_owners();
    attributes();
    driver_calls();
    after_reset();
    puts("end");
    return 0;
}
