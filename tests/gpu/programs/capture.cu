// Allocation and free around stream captures, in the three capture modes. One
// line a case: `name: result,... capture=active|invalidated end=... replay=...`.
// What native lets through must go through pooled, with the same line.
#include "common.cuh"

#include <atomic>
#include <cstring>
#include <string>
#include <thread>

namespace {

struct Mode {
    const char *name;
    cudaStreamCaptureMode value;
};
const Mode MODES[] = {{"global", cudaStreamCaptureModeGlobal},
                      {"thread-local", cudaStreamCaptureModeThreadLocal},
                      {"relaxed", cudaStreamCaptureModeRelaxed}};

constexpr size_t WORDS = 4096;
cudaStream_t stream, elsewhere;
unsigned *counter_block; // WORDS words, which the captured kernel increments

__global__ void increment(unsigned *block, size_t words) {
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < words;
         i += (size_t)gridDim.x * blockDim.x)
        block[i]++;
}

void *allocate(size_t bytes) {
    void *block;
    CHECK(cudaMalloc(&block, bytes));
    return block;
}

// A block of a size that is freed and so, in a pool, cached.
void warm(size_t bytes) { CHECK(cudaFree(allocate(bytes))); }

// Runs `during` inside a capture and prints its line. `during` returns the
// results it saw; `after` runs between the end of the capture and the replay.
template <typename During, typename After>
void run(const char *name, const Mode &mode, During during, After after) {
    CHECK(cudaMemset(counter_block, 0, WORDS * 4));
    CHECK(cudaDeviceSynchronize());
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec;
    CHECK(cudaStreamBeginCapture(stream, mode.value));
    increment<<<BLOCKS, THREADS, 0, stream>>>(counter_block, WORDS);
    std::string results = during();
    increment<<<BLOCKS, THREADS, 0, stream>>>(counter_block, WORDS);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    cudaStreamIsCapturing(stream, &status);
    cudaError_t end = cudaStreamEndCapture(stream, &graph);
    std::string replay = "-";
    std::string later = after();
    if (end == cudaSuccess && graph) {
        CHECK(cudaGraphInstantiate(&exec, graph, 0));
        for (int i = 0; i < 3; i++) CHECK(cudaGraphLaunch(exec, stream));
        CHECK(cudaDeviceSynchronize());
        unsigned seen[WORDS];
        CHECK(cudaMemcpy(seen, counter_block, sizeof seen, cudaMemcpyDeviceToHost));
        bool right = true;
        for (unsigned word : seen) right = right && word == 6;
        replay = right ? "right" : "wrong";
        CHECK(cudaGraphExecDestroy(exec));
        CHECK(cudaGraphDestroy(graph));
    }
    cudaGetLastError();
    printf("%s-%s: %s capture=%s end=%s after=%s replay=%s\n", name, mode.name, results.c_str(),
           status == cudaStreamCaptureStatusActive ? "active" : "invalidated",
           cudaGetErrorName(end), later.c_str(), replay.c_str());
}

std::string nothing() { return "-"; }

std::string name_of(cudaError_t result) { return cudaGetErrorName(result); }

void in_this_thread(const Mode &mode) {
    void *block = nullptr;
    run("malloc-fresh", mode, [&] { return name_of(cudaMalloc(&block, 7 << 20)); },
        [&] { return name_of(cudaFree(block)); });
    block = nullptr;
    warm(5 << 20);
    run("malloc-cached", mode, [&] { return name_of(cudaMalloc(&block, 5 << 20)); },
        [&] { return name_of(cudaFree(block)); });
    block = allocate(3 << 20);
    cudaError_t freed = cudaErrorUnknown;
    run("free", mode, [&] { return name_of(freed = cudaFree(block)); },
        [&] { return freed == cudaSuccess ? std::string("freed") : name_of(cudaFree(block)); });
    warm(6 << 20);
    run("malloc-free-cached", mode,
        [&] {
            void *inner = nullptr;
            cudaError_t first = cudaMalloc(&inner, 6 << 20);
            return name_of(first) + "," + name_of(first == cudaSuccess ? cudaFree(inner) : first);
        },
        nothing);
    block = allocate(9 << 20);
    run("free-then-reuse-after-end", mode, [&] { return name_of(freed = cudaFree(block)); },
        [&] {
            unsigned *again;
            cudaError_t first = cudaMalloc(&again, 9 << 20);
            if (first != cudaSuccess) return name_of(first);
            fill<<<BLOCKS, THREADS, 0, elsewhere>>>(again, 100, 1, 0);
            cudaError_t second = cudaFree(again);
            if (freed != cudaSuccess) cudaFree(block);
            return name_of(first) + "," + name_of(second);
        });
    auto exchange = DRIVER(cuThreadExchangeStreamCaptureMode);
    run("exchanged-to-relaxed", mode,
        [&] {
            CUstreamCaptureMode inner = CU_STREAM_CAPTURE_MODE_RELAXED;
            CHECK_DRIVER(exchange(&inner));
            void *fresh = nullptr;
            cudaError_t first = cudaMalloc(&fresh, 11 << 20);
            cudaError_t second = cudaFree(fresh);
            CHECK_DRIVER(exchange(&inner));
            return name_of(first) + "," + name_of(second);
        },
        nothing);
}

// Work of the context is still running when the free and the capture meet.
void next_to_late_work(const Mode &mode) {
    void *block = allocate(2 << 20);
    fill<<<BLOCKS, THREADS, 0, elsewhere>>>((unsigned *)block, 1000, 1, 5000);
    CHECK(cudaFree(block));
    run("free-right-before", mode, nothing, nothing);
    block = allocate(2 << 20);
    run("free-right-after", mode, nothing, [&] { return name_of(cudaFree(block)); });
    run("malloc-and-free-before-replay", mode, nothing, [&] {
        void *inner;
        cudaError_t first = cudaMalloc(&inner, 2 << 20);
        return name_of(first) + "," + name_of(cudaFree(inner));
    });
}

void in_another_thread(const Mode &mode) {
    run("other-thread", mode,
        [] {
            std::string results;
            std::thread([&] {
                unsigned *block = nullptr;
                cudaError_t first = cudaMalloc(&block, 4 << 20);
                results = name_of(first);
                if (first != cudaSuccess) return;
                fill<<<BLOCKS, THREADS, 0, elsewhere>>>(block, 1000, 1, 100);
                results += "," + name_of(cudaGetLastError());
                results += "," + name_of(cudaFree(block));
            }).join();
            return results;
        },
        nothing);
}

// One thread allocates and frees without pause while another captures: prints
// how many captures were spoilt and how many calls failed.
void race(const Mode &mode, int rounds) {
    std::atomic<bool> stop{false};
    std::atomic<long> failed_calls{0}, pairs{0};
    std::thread other([&] {
        while (!stop) {
            unsigned *block = nullptr;
            if (cudaMalloc(&block, 1 << 20) != cudaSuccess) {
                failed_calls++;
                continue;
            }
            fill<<<1, 32, 0, elsewhere>>>(block, 32, 1, 0);
            if (cudaFree(block) != cudaSuccess) failed_calls++;
            pairs++;
        }
    });
    CHECK(cudaMemset(counter_block, 0, WORDS * 4));
    CHECK(cudaDeviceSynchronize());
    int spoilt = 0, launched = 0;
    for (int i = 0; i < rounds; i++) {
        cudaGraph_t graph = nullptr;
        cudaGraphExec_t exec;
        cudaError_t begun = cudaStreamBeginCapture(stream, mode.value);
        increment<<<BLOCKS, THREADS, 0, stream>>>(counter_block, WORDS);
        increment<<<BLOCKS, THREADS, 0, stream>>>(counter_block, WORDS);
        cudaError_t end = cudaStreamEndCapture(stream, &graph);
        if (begun != cudaSuccess || end != cudaSuccess || !graph ||
            cudaGraphInstantiate(&exec, graph, 0) != cudaSuccess) {
            spoilt++;
            cudaGetLastError();
            continue;
        }
        CHECK(cudaGraphLaunch(exec, stream));
        CHECK(cudaStreamSynchronize(stream));
        CHECK(cudaGraphExecDestroy(exec));
        CHECK(cudaGraphDestroy(graph));
        launched++;
    }
    stop = true;
    other.join();
    CHECK(cudaDeviceSynchronize());
    unsigned seen;
    CHECK(cudaMemcpy(&seen, counter_block, sizeof seen, cudaMemcpyDeviceToHost));
    fprintf(stderr, "race-%s: %ld pairs\n", mode.name, pairs.load());
    printf("race-%s: spoilt=%d failed=%ld counted=%s\n", mode.name, spoilt, failed_calls.load(),
           seen == 2u * launched ? "right" : "wrong");
}

} // namespace

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 300;
    setvbuf(stdout, nullptr, _IOLBF, 0);
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&elsewhere, cudaStreamNonBlocking));
    counter_block = (unsigned *)allocate(WORDS * 4);
    increment<<<BLOCKS, THREADS, 0, stream>>>(counter_block, WORDS);
    fill<<<BLOCKS, THREADS, 0, elsewhere>>>(counter_block, WORDS, 0, 0);
    CHECK(cudaDeviceSynchronize());
    for (const Mode &mode : MODES) {
        in_this_thread(mode);
        next_to_late_work(mode);
    }
    // Threads last: a second one is a sign to the pool.
    for (const Mode &mode : MODES) in_another_thread(mode);
    // A global capture forbids other threads' allocations natively.
    race(MODES[1], rounds);
    race(MODES[2], rounds);
    puts("end");
    return 0;
}
