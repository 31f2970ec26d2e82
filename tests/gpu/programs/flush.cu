// flush CASE: what comes back to the device when idle memory is given back.
//
//   even     1000 blocks of 4 MiB, of which every eighth stays
//   random   blocks of log-uniform sizes, 64 KiB … 64 MiB, of which one in eight stays at random
//   launches how long launches take while another thread allocates, frees and gives memory back,
//            and while it only allocates and frees
//
// Pooled, `empty_cache` gives back; bare, the blocks come from cudaMallocAsync and its pool is
// trimmed. What the device has free is asked of NVML, which no pool stands in front of.
#include "common.cuh"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace {

constexpr size_t MIB = 1u << 20;
constexpr size_t PAGE = 2 * MIB;

using Clock = std::chrono::steady_clock;

double since_ms(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Bytes in use on the first device, as nvidia-smi shows them.
class Device {
    struct Memory { unsigned long long total, free, used; };
    int (*info)(void *, Memory *);
    void *handle = nullptr;

public:
    Device() {
        void *nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
        auto find = [=](const char *name) { return nvml ? dlsym(nvml, name) : nullptr; };
        auto init = (int (*)())find("nvmlInit_v2");
        auto by_index = (int (*)(unsigned, void **))find("nvmlDeviceGetHandleByIndex_v2");
        info = (int (*)(void *, Memory *))find("nvmlDeviceGetMemoryInfo");
        if (!init || !by_index || !info || init() || by_index(0, &handle))
            throw Failure(__LINE__, "nvml", "not there");
    }
    size_t used() const {
        Memory memory;
        if (info(handle, &memory)) throw Failure(__LINE__, "nvmlDeviceGetMemoryInfo", "failed");
        return memory.used;
    }
};

auto empty_cache = (size_t (*)())dlsym(RTLD_DEFAULT, "cupool_empty_cache");

void *allocate(size_t bytes) {
    void *block;
    if (empty_cache) CHECK(cudaMalloc(&block, bytes));
    else CHECK(cudaMallocAsync(&block, bytes, 0));
    return block;
}

void release(void *block) {
    if (empty_cache) CHECK(cudaFree(block));
    else CHECK(cudaFreeAsync(block, 0));
}

void give_back() {
    if (empty_cache) {
        empty_cache();
        return;
    }
    cudaMemPool_t pool;
    CHECK(cudaDeviceGetDefaultMemPool(&pool, 0));
    CHECK(cudaMemPoolTrimTo(pool, 0));
}

struct Block { char *at; size_t bytes; bool stays; };

// Bytes of the 2 MiB pages that freed blocks touch and no block that stays does.
size_t wholly_free(const std::vector<Block> &blocks) {
    std::map<size_t, bool> pages;
    for (auto &block : blocks)
        for (size_t page = (size_t)block.at / PAGE; page * PAGE < (size_t)block.at + block.bytes; page++)
            pages[page] |= block.stays;
    return PAGE * std::count_if(pages.begin(), pages.end(), [](auto &page) { return !page.second; });
}

void measure(const char *name, std::vector<Block> blocks) {
    Device device;
    if (!empty_cache) {
        cudaMemPool_t pool;
        unsigned long long keep = ~0ull;
        CHECK(cudaDeviceGetDefaultMemPool(&pool, 0));
        CHECK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep));
    }
    for (auto &block : blocks) {
        block.at = (char *)allocate(block.bytes);
        fill<<<1, 64>>>((unsigned *)block.at, 64, 1, 0);
    }
    for (auto &block : blocks)
        if (!block.stays) release(block.at);
    CHECK(cudaDeviceSynchronize());
    size_t before = device.used(), idle = wholly_free(blocks);
    auto start = Clock::now();
    give_back();
    double returned = since_ms(start);
    size_t back = 0;
    do back = before - std::min(before, device.used());
    while (back < idle * 95 / 100 && since_ms(start) < 100);
    printf("%s idle_MiB %zu back_MiB %zu percent %.1f within_ms %.1f call_ms %.1f\n", name,
           idle / MIB, back / MIB, 100.0 * back / idle, since_ms(start), returned);
}

std::vector<Block> even() {
    std::vector<Block> blocks;
    for (int n = 0; n < 1000; n++) blocks.push_back({nullptr, 4 * MIB, n % 8 == 0});
    return blocks;
}

std::vector<Block> random_sizes() {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> log2(16, 26), unit(0, 1);
    std::vector<Block> blocks;
    for (int n = 0; n < 1000; n++) blocks.push_back({nullptr, (size_t)std::exp2(log2(random)), unit(random) < 0.125});
    return blocks;
}

// The 50th and 99th percentile of a launch, over three tenths of a second.
void launches(const char *name, bool flushing) {
    std::atomic<bool> done{false};
    std::atomic<int> flushes{0};
    std::thread other([&] {
        while (!done) {
            std::vector<void *> blocks;
            for (int n = 0; n < 64; n++) blocks.push_back(allocate(4 * MIB));
            for (void *block : blocks) release(block);
            if (flushing) give_back();
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            flushes += flushing;
        }
    });
    unsigned *block;
    CHECK(cudaMalloc(&block, 512));
    cudaStream_t stream;
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    std::vector<double> times;
    auto begin = Clock::now();
    while (since_ms(begin) < 300) {
        auto start = Clock::now();
        fill<<<1, 32, 0, stream>>>(block, 32, 1, 0);
        times.push_back(since_ms(start) * 1e3);
        if (times.size() % 100 == 0) CHECK(cudaStreamSynchronize(stream));
    }
    done = true;
    other.join();
    std::sort(times.begin(), times.end());
    printf("%s p50_us %.2f p99_us %.2f launches %zu flushes %d\n", name, times[times.size() / 2],
           times[times.size() * 99 / 100], times.size(), flushes.load());
}

} // namespace

int main(int argc, char **argv) {
    std::string only = argc > 1 ? argv[1] : "";
    CHECK(cudaFree(0));
    auto wanted = [&](const char *name) { return only.empty() || only == name; };
    try {
        if (wanted("even")) measure("even", even());
        if (wanted("random")) measure("random", random_sizes());
        if (wanted("launches")) {
            launches("warm-up", false);
            for (int round = 0; round < 3; round++) {
                launches("quiet", false);
                launches("flushing", true);
            }
        }
    } catch (const Failure &failure) {
        printf("FAIL %s\n", failure.what());
        return 1;
    }
}
