// parts: where the time of a malloc and free pair goes, a line each, `name value unit`. Meant for a
// process with the library preloaded and CUPOOL_CONF=order:fence:
//
//   runtime-pair    cudaMalloc + cudaFree
//   driver-pair     cuMemAlloc + cuMemFree, found as programs find them: libcudart is left out
//   record+wait     the fence that one of the two contains
//   current         cuCtxGetCurrent, which the other contains
//   driver-calls    the three together, in the pair's order: their caches as cold as there
//
// So `runtime-pair - driver-pair` is libcudart's own, and `driver-pair - driver-calls` cupool's.
#include "common.cuh"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

namespace {

constexpr int ROUNDS = 2001;
constexpr int BATCH = 100;
constexpr size_t BYTES = 1u << 20;

double host_ns() {
    auto since = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::nano>(since).count();
}

}  // namespace

int main() try {
    CHECK(cudaFree(nullptr));
    auto allocate = DRIVER(cuMemAlloc);
    auto free = DRIVER(cuMemFree);
    auto current = DRIVER(cuCtxGetCurrent);
    auto create = DRIVER(cuEventCreate);
    auto record = driver_function<CUresult (*)(CUcontext, CUevent)>("cuCtxRecordEvent");
    auto wait = driver_function<CUresult (*)(CUcontext, CUevent)>("cuCtxWaitEvent");
    CUcontext context;
    CUevent event;
    CHECK_DRIVER(current(&context));
    CHECK_DRIVER(create(&event, CU_EVENT_DISABLE_TIMING));

    std::vector<std::pair<const char *, std::function<void()>>> parts = {
        {"runtime-pair",
         [] {
             void *block;
             CHECK(cudaMalloc(&block, BYTES));
             CHECK(cudaFree(block));
         }},
        {"driver-pair",
         [=] {
             CUdeviceptr block;
             CHECK_DRIVER(allocate(&block, BYTES));
             CHECK_DRIVER(free(block));
         }},
        {"record+wait",
         [=] {
             record(context, event);
             wait(context, event);
         }},
        {"current",
         [=] {
             CUcontext now;
             current(&now);
         }},
        {"driver-calls",
         [=] {
             CUcontext now;
             current(&now);
             record(context, event);
             wait(context, event);
         }},
    };
    // In turn, so that a change of the machine's clock falls on all alike.
    std::vector<std::vector<double>> times(parts.size());
    for (int round = 0; round < ROUNDS; round++)
        for (size_t part = 0; part < parts.size(); part++) {
            double start = host_ns();
            for (int i = 0; i < BATCH; i++) parts[part].second();
            times[part].push_back((host_ns() - start) / BATCH);
        }
    for (size_t part = 0; part < parts.size(); part++) {
        auto middle = times[part].begin() + ROUNDS / 2;
        std::nth_element(times[part].begin(), middle, times[part].end());
        printf("%s %.1f ns\n", parts[part].first, *middle);
    }
} catch (const std::exception &failure) {
    fprintf(stderr, "%s\n", failure.what());
    return 1;
}
