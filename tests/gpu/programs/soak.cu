// soak --blocks N [--threads T] [--streams S] [--late US] [--seed X]
//      [--tight MIB] [--flush-ms MS] [--seconds S]: N blocks of random sizes, each
// filled and later checked for its own word by kernels, its check never waited
// for before the free. Prints the wrong words at last.
//
//   --tight     blocks of up to 256 MiB, and no more than so many MiB of the device for
//               them all: the rest is held, so that memory has to move all the time
//   --flush-ms  a thread gives idle memory back at random moments, so far apart on average,
//               by a call or by SIGUSR1; only where there is a pool to do so
//   --seconds   no new block after so long
#include "common.cuh"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

struct Options {
    long blocks = 30000;
    int threads = 8;
    int streams = 4;
    long late_us = 0; // a check starts up to this much late
    unsigned seed = 1;
    size_t tight = 0; // bytes
    long flush_ms = 0;
    long seconds = 0;
};

using Clock = std::chrono::steady_clock;

struct Block {
    unsigned *words;
    size_t count;
    unsigned value;
    int stream; // of the fill, and so of the check
};

std::atomic<long> handed_out{0};
std::atomic<long> checked{0};
std::atomic<long> flushes{0};
std::atomic<long> refusals{0};
// Bytes in all threads' live blocks, for --tight.
std::atomic<size_t> live_bytes{0};

// Mostly small, some up to 8 MiB, so that sizes meet again and again.
size_t random_bytes(std::mt19937 &random) {
    unsigned kind = random() % 100;
    size_t limit = kind < 60 ? 16u << 10 : kind < 95 ? 512u << 10 : 8u << 20;
    return 4 + random() % limit / 4 * 4;
}

// One in five up to 256 MiB: these hold nearly all the bytes. In turn, for a while
// each, they are of 1 to 2 MiB, 2 to 4 MiB, … and so on in no order: what was free
// for the last ones has to be put together anew for the next.
size_t random_tight_bytes(std::mt19937 &random, long number) {
    if (random() % 5) return random_bytes(random);
    unsigned scale = 20 + (unsigned)(number / 500) * 5 % 8;
    return ((size_t)1 << scale) + random() % ((size_t)1 << scale) / 4 * 4;
}

// Physical memory that no address leads to and no pool knows: all that the device
// has, but for `leave` bytes.
class Ballast {
    std::vector<CUmemGenericAllocationHandle> handles;

public:
    explicit Ballast(size_t leave) {
        auto info = DRIVER(cuMemGetInfo);
        auto create = DRIVER(cuMemCreate);
        CUmemAllocationProp kind = {};
        kind.type = CU_MEM_ALLOCATION_TYPE_PINNED;
        kind.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
        for (size_t piece : {(size_t)1 << 30, (size_t)64 << 20}) {
            for (;;) {
                size_t free, total;
                CHECK_DRIVER(info(&free, &total));
                if (free < leave + piece) break;
                CUmemGenericAllocationHandle handle;
                CHECK_DRIVER(create(&handle, piece, &kind, 0));
                handles.push_back(handle);
            }
        }
    }
    ~Ballast() {
        auto release = DRIVER(cuMemRelease);
        for (auto handle : handles) release(handle);
    }
};

// One thread's blocks and streams.
class Worker {
    const Options &options;
    unsigned long long *wrong;
    std::mt19937 random;
    std::vector<cudaStream_t> streams;
    std::vector<Block> live;

    // Takes `bytes` of what may be live of tight memory, or fewer: what the others
    // leave. A quarter is left over, since blocks that live keep their pages where they are.
    size_t claim(size_t bytes) {
        size_t room = options.tight / 4 * 3;
        for (int i = 0; i < 4 && live_bytes + bytes > room && !live.empty(); i++)
            give_back(random() % live.size());
        size_t held = live_bytes, got;
        do got = held + 4096 > room ? 4096 : std::min(bytes, (room - held) & ~(size_t)3);
        while (!live_bytes.compare_exchange_weak(held, held + got));
        return got;
    }

    void give_back(size_t index) {
        Block block = live[index];
        long late = options.late_us ? random() % options.late_us : 0;
        count_wrong<<<BLOCKS, THREADS, 0, streams[block.stream]>>>(block.words, block.count,
                                                                  block.value, wrong, late);
        CHECK(cudaGetLastError());
        CHECK(cudaFree(block.words));
        if (options.tight) live_bytes -= block.count * 4;
        checked++;
        live[index] = live.back();
        live.pop_back();
    }

    // Memory for `bytes`. Where there is none, all that this thread holds goes: in
    // the end some thread finds enough.
    unsigned *allocate(size_t bytes) {
        for (int attempt = 0;; attempt++) {
            unsigned *words;
            cudaError_t result = cudaMalloc(&words, bytes);
            if (result == cudaErrorMemoryAllocation && options.tight && attempt < 1000) {
                cudaGetLastError();
                refusals++;
                while (!live.empty()) give_back(live.size() - 1);
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                continue;
            }
            CHECK(result);
            return words;
        }
    }

public:
    Worker(const Options &options, int thread, unsigned long long *wrong)
        : options(options), wrong(wrong), random(options.seed * 7919 + thread),
          streams(options.streams) {
        for (auto &stream : streams) CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    }

    void work(Clock::time_point end) {
        auto flush = (void (*)())dlsym(RTLD_DEFAULT, "empty_cache");
        long number;
        while (Clock::now() < end && (number = handed_out++) < options.blocks) {
            size_t bytes = options.tight ? claim(random_tight_bytes(random, number))
                                         : random_bytes(random);
            Block block;
            block.count = bytes / 4;
            block.value = (unsigned)number * 2654435761u + 1;
            block.stream = random() % options.streams;
            block.words = allocate(bytes);
            fill<<<BLOCKS, THREADS, 0, streams[block.stream]>>>(block.words, block.count, block.value, 0);
            CHECK(cudaGetLastError());
            live.push_back(block);
            // If tight, all that fits stays as long as it can.
            while (live.size() > (options.tight ? 48 : 12) ||
                   (!options.tight && live.size() > 1 && random() % 3 == 0))
                give_back(random() % live.size());
            if (flush && random() % 2000 == 0) {
                flush();
                flushes++;
            }
        }
        while (!live.empty()) give_back(live.size() - 1);
        for (auto &stream : streams) CHECK(cudaStreamSynchronize(stream));
    }
};

// Gives idle memory back at random moments until `done`.
void flush_at_random(const Options &options, const std::atomic<bool> &done) {
    auto flush = (size_t (*)())dlsym(RTLD_DEFAULT, "cupool_empty_cache");
    if (!flush || !options.flush_ms) return;
    std::mt19937 random(options.seed);
    while (!done) {
        std::this_thread::sleep_for(std::chrono::microseconds(random() % (2000 * options.flush_ms)));
        if (random() % 4) flush();
        else kill(getpid(), SIGUSR1);
        flushes++;
    }
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
        else if (!strcmp(argv[i], "--tight")) options.tight = (size_t)value << 20;
        else if (!strcmp(argv[i], "--flush-ms")) options.flush_ms = value;
        else if (!strcmp(argv[i], "--seconds")) options.seconds = value;
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
    std::vector<Worker> workers;
    for (int i = 0; i < options.threads; i++) workers.emplace_back(options, i, wrong);
    CHECK(cudaDeviceSynchronize());
    // What kernels and streams need they have by now.
    std::unique_ptr<Ballast> ballast;
    if (options.tight) ballast = std::make_unique<Ballast>(options.tight);
    auto end = options.seconds ? Clock::now() + std::chrono::seconds(options.seconds)
                               : Clock::time_point::max();
    std::atomic<bool> done{false};
    std::thread flusher(flush_at_random, std::cref(options), std::cref(done));
    std::vector<std::thread> threads;
    for (auto &worker : workers) threads.emplace_back(&Worker::work, &worker, end);
    for (auto &thread : threads) thread.join();
    done = true;
    flusher.join();
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(&count, wrong, sizeof count, cudaMemcpyDeviceToHost));
    printf("flushes=%ld refusals=%ld\n", flushes.load(), refusals.load());
    printf("blocks=%ld wrong words=%llu\n", checked.load(), count);
    return 0;
}
