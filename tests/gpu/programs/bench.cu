// bench CASE: one measurement a line, `name value unit`, each value a median.
#include "common.cuh"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

namespace {

double now_us() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec * 1e-3;
}

// The median time of one call of each of `works` in microseconds. Batches of
// about 50 µs or more take turns, so that a change of the machine's clock or load
// falls on all of them alike, for about an eighth of a second each.
std::vector<double> medians_us(const std::vector<std::function<void()>> &works) {
    std::vector<int> batches;
    for (auto &work : works) {
        for (int i = 0; i < 3; i++) work();
        double start = now_us();
        work();
        batches.push_back((int)std::clamp(50.0 / std::max(now_us() - start, 0.05), 1.0, 500.0));
    }
    std::vector<std::vector<double>> times(works.size());
    double end = now_us() + 125e3 * works.size();
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

void print(const std::string &name, double value) {
    printf("%s %.4f us\n", name.c_str(), value);
    fflush(stdout);
}

const size_t SIZES[] = {256, 4u << 10, 64u << 10, 1u << 20, 16u << 20, 64u << 20, 1u << 30};

// malloc + free, and what a fence and a wait cost by themselves in this very
// process.
void pairs() {
    auto create = DRIVER(cuEventCreate);
    auto current = DRIVER(cuCtxGetCurrent);
    auto record = driver_function<CUresult (*)(CUcontext, CUevent)>("cuCtxRecordEvent");
    auto wait = driver_function<CUresult (*)(CUcontext, CUevent)>("cuCtxWaitEvent");
    auto synchronise = DRIVER(cuCtxSynchronize);
    CUcontext context;
    CUevent event;
    CHECK_DRIVER(current(&context));
    CHECK_DRIVER(create(&event, CU_EVENT_DISABLE_TIMING));
    for (size_t bytes : SIZES) {
        auto times = medians_us({
            [=] {
                void *block;
                CHECK(cudaMalloc(&block, bytes));
                CHECK(cudaFree(block));
            },
            [=] {
                record(context, event);
                wait(context, event);
            },
            [=] { synchronise(); },
        });
        print("pair-" + std::to_string(bytes), times[0]);
        print("record+wait-" + std::to_string(bytes), times[1]);
        print("synchronise-" + std::to_string(bytes), times[2]);
    }
}

void stream_ordered_pairs() {
    cudaMemPool_t pool;
    CHECK(cudaDeviceGetDefaultMemPool(&pool, 0));
    unsigned long long keep = ~0ull;
    CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
    for (size_t bytes : SIZES)
        print("async-pair-" + std::to_string(bytes), medians_us({[=] {
                  void *block;
                  CHECK(cudaMallocAsync(&block, bytes, 0));
                  CHECK(cudaFreeAsync(block, 0));
              }})[0]);
}

// Sustained time per iteration, the GPU's included: runs of `count`
// iterations, each ended by a wait.
double sustained_us(int count, const std::function<void()> &work) {
    std::vector<double> times;
    for (int round = 0; round < 15; round++) {
        double start = now_us();
        for (int i = 0; i < count; i++) work();
        CHECK(cudaDeviceSynchronize());
        times.push_back((now_us() - start) / count);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

void with_kernel() {
    const size_t bytes = 1u << 20;
    unsigned *kept;
    CHECK(cudaMalloc(&kept, bytes));
    fill<<<1, 128>>>(kept, 128, 1, 0);
    CHECK(cudaDeviceSynchronize());
    print("kernel-alone", sustained_us(1000, [=] { fill<<<1, 128>>>(kept, 128, 1, 0); }));
    print("malloc-kernel-free", sustained_us(1000, [=] {
              unsigned *block;
              CHECK(cudaMalloc(&block, bytes));
              fill<<<1, 128>>>(block, 128, 1, 0);
              CHECK(cudaFree(block));
          }));
    CHECK(cudaFree(kept));
}

// Wall time over all pairs of sixteen threads.
void threads() {
    const int count = 16, each = 3000;
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> all;
    for (int t = 0; t < count; t++)
        all.emplace_back([&] {
            auto pair = [] {
                void *block;
                CHECK(cudaMalloc(&block, 64u << 10));
                CHECK(cudaFree(block));
            };
            for (int i = 0; i < 20; i++) pair();
            ready++;
            while (!go) std::this_thread::yield();
            for (int i = 0; i < each; i++) pair();
        });
    while (ready < count) std::this_thread::yield();
    double start = now_us();
    go = true;
    for (auto &thread : all) thread.join();
    print("threads-16-65536", (now_us() - start) / (count * each));
}

} // namespace

int main(int argc, char **argv) {
    const char *which = argc > 1 ? argv[1] : "all";
    CHECK(cudaFree(nullptr));
    auto wanted = [which](const char *name) { return !strcmp(which, "all") || !strcmp(which, name); };
    if (wanted("pairs")) pairs();
    if (wanted("async")) stream_ordered_pairs();
    if (wanted("kernel")) with_kernel();
    if (wanted("threads")) threads();
    return 0;
}
