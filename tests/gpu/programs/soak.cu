// soak --blocks N [--threads T] [--streams S] [--late US] [--seed X]: N blocks
// of random sizes, each filled and later checked for its own word by kernels,
// its check never waited for before the free. Prints the wrong words at last.
#include "common.cuh"

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace {

struct Options {
    long blocks = 30000;
    int threads = 8;
    int streams = 4;
    long late_us = 0; // a check starts up to this much late
    unsigned seed = 1;
};

struct Block {
    unsigned *words;
    size_t count;
    unsigned value;
    int stream; // of the fill, and so of the check
};

std::atomic<long> handed_out{0};
std::atomic<long> flushes{0};

// Mostly small, some up to 8 MiB, so that sizes meet again and again.
size_t random_bytes(std::mt19937 &random) {
    unsigned kind = random() % 100;
    size_t limit = kind < 60 ? 16u << 10 : kind < 95 ? 512u << 10 : 8u << 20;
    return 4 + random() % limit / 4 * 4;
}

void work(const Options &options, int thread, unsigned long long *wrong) {
    using Flush = void (*)();
    Flush flush = reinterpret_cast<Flush>(dlsym(RTLD_DEFAULT, "empty_cache"));
    std::mt19937 random(options.seed * 7919 + thread);
    std::vector<cudaStream_t> streams(options.streams);
    for (auto &stream : streams) CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    std::vector<Block> live;
    auto give_back = [&](size_t index) {
        Block block = live[index];
        long late = options.late_us ? random() % options.late_us : 0;
        count_wrong<<<BLOCKS, THREADS, 0, streams[block.stream]>>>(block.words, block.count, block.value,
                                                          wrong, late);
        CHECK(cudaGetLastError());
        CHECK(cudaFree(block.words));
        live[index] = live.back();
        live.pop_back();
    };
    long number;
    while ((number = handed_out++) < options.blocks) {
        Block block;
        block.count = random_bytes(random) / 4;
        block.value = (unsigned)number * 2654435761u + 1;
        block.stream = random() % options.streams;
        CHECK(cudaMalloc(&block.words, block.count * 4));
        fill<<<BLOCKS, THREADS, 0, streams[block.stream]>>>(block.words, block.count, block.value, 0);
        CHECK(cudaGetLastError());
        live.push_back(block);
        while (live.size() > 12 || (live.size() > 1 && random() % 3 == 0))
            give_back(random() % live.size());
        if (flush && random() % 2000 == 0) {
            flush();
            flushes++;
        }
    }
    while (!live.empty()) give_back(live.size() - 1);
    for (auto &stream : streams) CHECK(cudaStreamSynchronize(stream));
}

Options parse(int argc, char **argv) {
    Options options;
    for (int i = 1; i + 1 < argc; i += 2) {
        long value = atol(argv[i + 1]);
        if (!strcmp(argv[i], "--blocks")) options.blocks = value;
        else if (!strcmp(argv[i], "--threads")) options.threads = (int)value;
        else if (!strcmp(argv[i], "--streams")) options.streams = (int)value;
        else if (!strcmp(argv[i], "--late")) options.late_us = value;
        else if (!strcmp(argv[i], "--seed")) options.seed = (unsigned)value;
        else exit(2);
    }
    return options;
}

} // namespace

int main(int argc, char **argv) {
    Options options = parse(argc, argv);
    unsigned long long *wrong, count = 0;
    CHECK(cudaMalloc(&wrong, sizeof *wrong));
    CHECK(cudaMemset(wrong, 0, sizeof *wrong));
    CHECK(cudaDeviceSynchronize());
    std::vector<std::thread> threads;
    for (int i = 0; i < options.threads; i++) threads.emplace_back(work, options, i, wrong);
    for (auto &thread : threads) thread.join();
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(&count, wrong, sizeof count, cudaMemcpyDeviceToHost));
    fprintf(stderr, "%ld flushes\n", flushes.load());
    printf("blocks=%ld wrong words=%llu\n", options.blocks, count);
    return 0;
}
