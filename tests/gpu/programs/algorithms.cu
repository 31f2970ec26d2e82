// algorithms: thrust and CUB as a program uses them, whose temporary memory comes from cudaMalloc.
// Prints results, or with --time the median time of a round (`step MS ms`).
#include "common.cuh"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include <cub/cub.cuh>
#include <thrust/device_vector.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/unique.h>

namespace {

struct Mix {
    __host__ __device__ unsigned operator()(unsigned x) const {
        x ^= x >> 16;
        x *= 0x7feb352du;
        x ^= x >> 15;
        x *= 0x846ca68bu;
        return x ^ (x >> 16);
    }
};

struct Results {
    unsigned long long sum;
    unsigned middle;
    size_t distinct;
    unsigned maximum;
};

// Allocates, sorts, scans, reduces and lets everything go.
Results round_of(size_t count) {
    thrust::device_vector<unsigned> keys(count), values(count);
    thrust::sequence(keys.begin(), keys.end());
    thrust::transform(keys.begin(), keys.end(), keys.begin(), Mix());
    thrust::sequence(values.begin(), values.end());
    thrust::sort_by_key(keys.begin(), keys.end(), values.begin());
    thrust::device_vector<unsigned long long> sums(values.begin(), values.end());
    thrust::inclusive_scan(sums.begin(), sums.end(), sums.begin());
    thrust::transform(keys.begin(), keys.end(), keys.begin(),
                      [] __device__(unsigned x) { return x >> 14; });
    Results results{sums.back(), values[count / 2], 0, 0};
    results.distinct = thrust::unique(keys.begin(), keys.end()) - keys.begin();

    unsigned *maximum = nullptr;
    void *temporary = nullptr;
    size_t bytes = 0;
    CHECK(cudaMalloc(&maximum, sizeof *maximum));
    const unsigned *input = thrust::raw_pointer_cast(values.data());
    CHECK(cub::DeviceReduce::Max(temporary, bytes, input, maximum, static_cast<int>(count)));
    CHECK(cudaMalloc(&temporary, bytes));
    CHECK(cub::DeviceReduce::Max(temporary, bytes, input, maximum, static_cast<int>(count)));
    CHECK(cudaMemcpy(&results.maximum, maximum, sizeof *maximum, cudaMemcpyDeviceToHost));
    CHECK(cudaFree(temporary));
    CHECK(cudaFree(maximum));
    return results;
}

}  // namespace

int main(int argc, char **argv) try {
    if (argc > 1 && !strcmp(argv[1], "--time")) {
        std::vector<double> times;
        for (int i = 0; i < 40; i++) {
            const auto start = std::chrono::steady_clock::now();
            round_of(1 << 20);
            times.push_back(std::chrono::duration<double, std::milli>(
                                std::chrono::steady_clock::now() - start).count());
        }
        std::nth_element(times.begin(), times.begin() + 20, times.end());
        printf("step %.4f ms\n", times[20]);
        return 0;
    }
    for (size_t count = 1000; count < 6'000'000; count = count * 7 / 4 + 1) {
        const Results r = round_of(count);
        printf("%zu: %llu %u %zu %u\n", count, r.sum, r.middle, r.distinct, r.maximum);
    }
} catch (const std::exception &failure) {
    fprintf(stderr, "%s\n", failure.what());
    return 1;
}
