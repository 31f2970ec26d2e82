// What the programs that measure share: the clock, medians, and the calls that
// are measured or compared with.
#pragma once

#include "common.cuh"

#include <algorithm>
#include <functional>
#include <string>
#include <time.h>
#include <vector>

inline double now_us() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec * 1e-3;
}

// The median time of one call of each of `works` in microseconds. Batches of
// about 50 µs or more take turns, so that a change of the machine's clock or load
// falls on all of them alike, for about a sixteenth of a second each.
inline std::vector<double> medians_us(const std::vector<std::function<void()>> &works) {
    std::vector<int> batches;
    for (auto &work : works) {
        for (int i = 0; i < 3; i++) work();
        double start = now_us();
        work();
        batches.push_back((int)std::clamp(50.0 / std::max(now_us() - start, 0.05), 1.0, 500.0));
    }
    std::vector<std::vector<double>> times(works.size());
    double end = now_us() + 62.5e3 * works.size();
    while (times[0].size() < 5 || (now_us() < end && times[0].size() < 5000))
        for (size_t w = 0; w < works.size(); w++) {
            double start = now_us();
            for (int i = 0; i < batches[w]; i++) works[w]();
            times[w].push_back((now_us() - start) / batches[w]);
        }
    std::vector<double> medians;
    for (auto &of_one : times) {
        std::nth_element(of_one.begin(), of_one.begin() + of_one.size() / 2, of_one.end());
        medians.push_back(of_one[of_one.size() / 2]);
    }
    return medians;
}

inline void print(const std::string &name, double value) {
    printf("%s %.4f us\n", name.c_str(), value);
    fflush(stdout);
}

constexpr size_t KIB = 1u << 10, MIB = 1u << 20, GIB = 1u << 30;

inline void pair(size_t bytes) {
    void *block;
    CHECK(cudaMalloc(&block, bytes));
    CHECK(cudaFree(block));
}

// The driver's two calls that make a fence, with an event of its own.
inline std::function<void()> new_fence() {
    auto create = DRIVER(cuEventCreate);
    auto current = DRIVER(cuCtxGetCurrent);
    auto record = driver_function<CUresult (*)(CUcontext, CUevent)>("cuCtxRecordEvent");
    auto wait = driver_function<CUresult (*)(CUcontext, CUevent)>("cuCtxWaitEvent");
    CUcontext context;
    CUevent event;
    CHECK_DRIVER(current(&context));
    CHECK_DRIVER(create(&event, CU_EVENT_DISABLE_TIMING));
    return [=] {
        CHECK_DRIVER(record(context, event));
        CHECK_DRIVER(wait(context, event));
    };
}

// The driver's own pool, told to keep what it has.
inline void keep_stream_ordered() {
    cudaMemPool_t pool;
    CHECK(cudaDeviceGetDefaultMemPool(&pool, 0));
    unsigned long long keep = ~0ull;
    CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
}
