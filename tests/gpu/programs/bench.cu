// bench CASE: one measurement a line, `name value unit`, each value a median.
#include "bench.cuh"

#include <cstring>

namespace {

const size_t SIZES[] = {256,      4 * KIB, 64 * KIB, MIB,    4 * MIB,
                        16 * MIB, 64 * MIB, GIB,     4 * GIB, 8 * GIB};

// malloc + free through libcudart and without it, and what a fence and a wait
// cost by themselves in this very process.
void pairs() {
    auto allocate = DRIVER(cuMemAlloc);
    auto release = DRIVER(cuMemFree);
    auto synchronise = DRIVER(cuCtxSynchronize);
    auto fence = new_fence();
    for (size_t bytes : SIZES) {
        auto times = medians_us({
            [=] { pair(bytes); },
            [=] {
                CUdeviceptr block;
                CHECK_DRIVER(allocate(&block, bytes));
                CHECK_DRIVER(release(block));
            },
            fence,
            [=] { CHECK_DRIVER(synchronise()); },
        });
        print("pair-" + std::to_string(bytes), times[0]);
        print("driver-pair-" + std::to_string(bytes), times[1]);
        print("record+wait-" + std::to_string(bytes), times[2]);
        print("synchronise-" + std::to_string(bytes), times[3]);
    }
}

void stream_ordered_pairs() {
    keep_stream_ordered();
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

} // namespace

int main(int argc, char **argv) {
    const char *which = argc > 1 ? argv[1] : "all";
    CHECK(cudaFree(nullptr));
    auto wanted = [which](const char *name) { return !strcmp(which, "all") || !strcmp(which, name); };
    if (wanted("pairs")) pairs();
    if (wanted("async")) stream_ordered_pairs();
    if (wanted("kernel")) with_kernel();
    return 0;
}
