// crowd threads | async-threads | flat: pairs among many threads, pairs among many
// blocks. One measurement a line, `name value unit`, each value a median.
#include "bench.cuh"

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <thread>

namespace {

// Wall time over what sixteen threads do together in a tenth of a second. Each
// makes its own work, by its number; a call of it counts as one.
double together_us(const std::function<std::function<void()>(int)> &new_work) {
    const int count = 16, batch = 16;
    std::atomic<int> ready{0};
    std::atomic<bool> go{false}, stop{false};
    std::atomic<long> done{0};
    std::vector<std::thread> all;
    for (int t = 0; t < count; t++)
        all.emplace_back([&, t] {
            auto work = new_work(t);
            for (int i = 0; i < 20; i++) work();
            ready++;
            while (!go) std::this_thread::yield();
            long mine = 0;
            for (; !stop.load(std::memory_order_relaxed); mine += batch)
                for (int i = 0; i < batch; i++) work();
            done += mine;
        });
    while (ready < count) std::this_thread::yield();
    double start = now_us();
    go = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stop = true;
    for (auto &thread : all) thread.join();
    return (now_us() - start) / done;
}

struct Pair {
    const char *name;
    std::vector<size_t> sizes;
    size_t live; // blocks that a thread holds meanwhile
};

// Frees the block that was had `live` calls ago and takes one of a size chosen
// at random.
template <typename Allocate, typename Release>
std::function<void()> churn(const Pair &pair, unsigned seed, Allocate allocate, Release release) {
    auto give_back = [=](std::vector<void *> *blocks) {
        for (void *block : *blocks) release(block);
        delete blocks;
    };
    std::shared_ptr<std::vector<void *>> blocks(new std::vector<void *>(pair.live), give_back);
    for (void *&block : *blocks) block = allocate(pair.sizes[0]);
    return [=, random = seed * 2654435761u + 1, next = size_t(0)]() mutable {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        size_t bytes = pair.sizes[random % pair.sizes.size()];
        if (!pair.live) return release(allocate(bytes));
        void *&block = (*blocks)[next++ % pair.live];
        release(block);
        block = allocate(bytes);
    };
}

void threads(bool stream_ordered) {
    const Pair all[] = {
        {"64KiB", {64 * KIB}, 0},
        {"1MiB", {MIB}, 0},
        {"4MiB", {4 * MIB}, 0},
        {"mixed", {64 * KIB, 96 * KIB, 256 * KIB, 768 * KIB, MIB, 3 * MIB / 2, 3 * MIB, 4 * MIB}, 8},
    };
    std::map<std::string, std::vector<double>> times;
    if (stream_ordered) keep_stream_ordered();
    // In turn, so that a change of the machine's clock falls on all alike.
    for (int round = 0; round < 3; round++) {
        for (auto &one : all) {
            auto runtime = [&](int thread) {
                return churn(
                    one, thread,
                    [](size_t bytes) {
                        void *block;
                        CHECK(cudaMalloc(&block, bytes));
                        return block;
                    },
                    [](void *block) { CHECK(cudaFree(block)); });
            };
            auto in_stream = [&](int thread) {
                cudaStream_t stream;
                CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
                return churn(
                    one, thread,
                    [=](size_t bytes) {
                        void *block;
                        CHECK(cudaMallocAsync(&block, bytes, stream));
                        return block;
                    },
                    [=](void *block) { CHECK(cudaFreeAsync(block, stream)); });
            };
            if (stream_ordered) times[std::string("async-threads-") + one.name].push_back(together_us(in_stream));
            else times[std::string("threads-") + one.name].push_back(together_us(runtime));
            CHECK(cudaDeviceSynchronize());
        }
        if (!stream_ordered)
            times["threads-record+wait"].push_back(together_us([](int) {
                CHECK(cudaFree(nullptr)); // makes the context current
                return new_fence();
            }));
    }
    for (auto &[name, of_one] : times) {
        std::sort(of_one.begin(), of_one.end());
        print(name, of_one[of_one.size() / 2]);
    }
}

// What a pair of 64 KiB costs among few and many blocks, and among holes. `swap`
// is a pair of a free anywhere among the live blocks and a malloc, 64 of each in
// turn: more than what was freed last, so that places have to be looked for.
void flat() {
    const size_t bytes = 64 * KIB, few = 100, many = 100000, holes = 65536;
    auto fence = new_fence();
    std::vector<void *> live;
    auto hold = [&](size_t count) {
        for (; live.size() > count; live.pop_back()) CHECK(cudaFree(live.back()));
        while (live.size() < count) {
            live.push_back(nullptr);
            CHECK(cudaMalloc(&live.back(), bytes));
        }
    };
    std::mt19937 random(1);
    auto swap = [&] {
        size_t first = random() % live.size();
        auto at = [&](size_t i) -> void *& { return live[(first + i * 7919) % live.size()]; };
        for (size_t i = 0; i < 64; i++) CHECK(cudaFree(at(i)));
        for (size_t i = 0; i < 64; i++) CHECK(cudaMalloc(&at(i), bytes));
    };
    auto measure = [&](const std::string &name) {
        auto times = medians_us({[=] { pair(bytes); }, swap, fence});
        print("flat-pair-" + name, times[0]);
        print("flat-swap-" + name, times[1] / 64);
        print("flat-record+wait-" + name, times[2]);
    };
    for (int round = 0; round < 2; round++) {
        hold(few);
        measure("few");
        hold(many);
        measure("many");
        hold(2 * holes);
        // Every second block goes, by address: none of the holes has a neighbour.
        std::sort(live.begin(), live.end());
        for (size_t i = 0; i < holes; i++) {
            CHECK(cudaFree(live[2 * i]));
            live[i] = live[2 * i + 1];
        }
        live.resize(holes);
        measure("holes");
    }
    hold(0);
}

} // namespace

int main(int argc, char **argv) {
    const char *which = argc > 1 ? argv[1] : "";
    CHECK(cudaFree(nullptr));
    if (!strcmp(which, "threads")) threads(false);
    else if (!strcmp(which, "async-threads")) threads(true);
    else if (!strcmp(which, "flat")) flat();
    else return 2;
    return 0;
}
