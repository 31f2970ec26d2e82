// out_of_bounds: a kernel that writes one word past the end of its block.
// A memory checker must report it, whoever serves the allocations.
#include "common.cuh"

namespace {

__global__ void fill(unsigned *words, unsigned count) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= count) words[i] = i;
}

}  // namespace

int main() try {
    // Not a multiple of 512 bytes: behind the block there is nobody's memory.
    constexpr unsigned COUNT = 100;
    unsigned *blocks[4];
    for (auto &block : blocks) CHECK(cudaMalloc(&block, COUNT * sizeof *block));
    fill<<<1, 256>>>(blocks[1], COUNT);
    CHECK(cudaDeviceSynchronize());
    for (auto block : blocks) CHECK(cudaFree(block));
} catch (const std::exception &failure) {
    fprintf(stderr, "%s\n", failure.what());
    return 1;
}
