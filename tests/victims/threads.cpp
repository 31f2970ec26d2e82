// A C++ program: sixteen threads allocate, fill, check and free, and pass blocks on to each other.
#include <atomic>
#include <cstdio>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "kernels.h"
#include "rt.h"

namespace {

struct Block {
    unsigned *pointer;
    size_t words;
    unsigned value;
};

std::mutex lock;
std::vector<Block> shelf; // blocks that any thread may take over
std::atomic<unsigned> blocks{0}, wrong{0};

void check(const Block &block, unsigned *mismatches, cudaStream_t stream)
{
    unsigned count = 0;
    OK(cudaMemsetAsync(mismatches, 0, 4, stream));
    OK(k_check(block.pointer, block.words, block.value, mismatches, 0, stream));
    OK(cudaMemcpyAsync(&count, mismatches, 4, cudaMemcpyDeviceToHost, stream));
    OK(cudaStreamSynchronize(stream));
    wrong += count;
    OK(cudaFree(block.pointer));
}

void work(unsigned number)
{
    std::mt19937 random(number);
    cudaStream_t stream = rt_stream();
    unsigned *mismatches = rt_alloc(4);
    for (unsigned round = 0; round < 40; round++) {
        Block block{nullptr, 1 + random() % 20000, number << 16 | round};
        block.pointer = rt_alloc(block.words * 4);
        OK(k_fill(block.pointer, block.words, block.value, 0, stream));
        OK(cudaStreamSynchronize(stream));
        blocks++;
        std::unique_lock<std::mutex> held(lock);
        shelf.push_back(block);
        block = shelf[random() % shelf.size()];
        for (size_t i = 0; i < shelf.size(); i++)
            if (shelf[i].pointer == block.pointer) {
                shelf.erase(shelf.begin() + i);
                break;
            }
        held.unlock();
        check(block, mismatches, stream);
    }
    OK(cudaFree(mismatches));
    OK(cudaStreamDestroy(stream));
}

} // namespace

int main()
{
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < 16; number++) threads.emplace_back(work, number);
    for (auto &thread : threads) thread.join();
    std::printf("%u blocks, %u wrong words\n", blocks.load(), wrong.load());
    return 0;
}
