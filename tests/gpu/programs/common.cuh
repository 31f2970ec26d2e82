// What the programs of this directory share: checked calls, kernels whose
// delay is known, and access to the driver without linking it.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

// A call failed that the test does not itself examine. Not caught, it ends the
// program with this message.
struct Failure : std::runtime_error {
    Failure(int line, const char *call, const std::string &error)
        : std::runtime_error("line " + std::to_string(line) + ": " + call + ": " + error) {}
};

#define CHECK(call)                                                           \
    do {                                                                      \
        cudaError_t check_result = (call);                                    \
        if (check_result != cudaSuccess)                                      \
            throw Failure(__LINE__, #call, cudaGetErrorName(check_result));   \
    } while (0)

// The same for a driver call.
#define CHECK_DRIVER(call)                                                    \
    do {                                                                      \
        CUresult check_result = (call);                                       \
        if (check_result != CUDA_SUCCESS)                                     \
            throw Failure(__LINE__, #call,                                    \
                          "CUresult " + std::to_string((int)check_result));   \
    } while (0)

// Every kernel here runs with this shape. It fits on sixteen multiprocessors,
// so two of them are always resident together, green contexts included.
constexpr int BLOCKS = 32;
constexpr int THREADS = 256;

// How long a late kernel keeps its hands off memory. Everything the host does
// in between takes well under this.
constexpr long LATE_US = 30000;

// The function `symbol` of the driver this process runs on, or NULL.
template <typename F> F driver_function(const char *symbol) {
    static void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    return driver ? reinterpret_cast<F>(dlsym(driver, symbol)) : nullptr;
}
// `DRIVER(cuMemFree)` is the version of the function that cuda.h declares.
#define DRIVER_STRING(name) #name
#define DRIVER_SYMBOL(name) DRIVER_STRING(name)
#define DRIVER(name) (driver_function<decltype(&name)>(DRIVER_SYMBOL(name)))

__device__ inline unsigned long long now_ns() {
    unsigned long long ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    return ns;
}

__device__ inline void spin_us(long us) {
    if (us <= 0) return;
    unsigned long long end = now_ns() + (unsigned long long)us * 1000;
    while (now_ns() < end) {}
}

// Sets `words` words to `value`, `delay_us` after it starts.
static __global__ void fill(unsigned *block, size_t words, unsigned value, long delay_us) {
    spin_us(delay_us);
    size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < words; i += stride)
        block[i] = value;
}

// Copies `words` words, `delay_us` after it starts.
static __global__ void copy(unsigned *to, const unsigned *from, size_t words, long delay_us) {
    spin_us(delay_us);
    size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < words; i += stride)
        to[i] = __ldcg(from + i);
}

// Adds to `wrong` the number of words that are not `expected`.
static __global__ void count_wrong(const unsigned *block, size_t words, unsigned expected,
                                   unsigned long long *wrong, long delay_us) {
    spin_us(delay_us);
    size_t stride = (size_t)gridDim.x * blockDim.x;
    unsigned long long mine = 0;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < words; i += stride)
        mine += __ldcg(block + i) != expected;
    if (mine) atomicAdd(wrong, mine);
}
