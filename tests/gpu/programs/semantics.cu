// semantics CASE: what programs get from native cudaFree beside the memory.
// One line of output a case, for comparing bare with pooled.
#include "common.cuh"

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace {

constexpr size_t WORDS = 16384;
cudaStream_t first, second;
unsigned *block, *buffer, *result;
unsigned long long *wrong;

// Waits until `*flag` is set, at most four seconds, and reports what it saw.
__global__ void wait_for_flag(volatile unsigned *flag, unsigned *seen) {
    unsigned long long end = now_ns() + 4000000000ull;
    while (!*flag && now_ns() < end) {}
    *seen = *flag;
}

__global__ void print_late(long delay_us) {
    spin_us(delay_us);
    printf("printed by the kernel\n");
}

__global__ void fault_late(unsigned *nowhere, long delay_us) {
    spin_us(delay_us);
    *nowhere = 1;
}

void set_up() {
    CHECK(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    CHECK(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    CHECK(cudaMalloc(&block, 1 << 20));
    CHECK(cudaMalloc(&buffer, WORDS * 4));
    CHECK(cudaMalloc(&result, WORDS * 4));
    CHECK(cudaMalloc(&wrong, sizeof *wrong));
    CHECK(cudaMemset(buffer, 0, WORDS * 4));
    CHECK(cudaMemset(result, 0, WORDS * 4));
    CHECK(cudaMemset(wrong, 0, sizeof *wrong));
    fill<<<BLOCKS, THREADS, 0, first>>>(buffer, WORDS, 0, 0);
    count_wrong<<<BLOCKS, THREADS, 0, second>>>(buffer, WORDS, 0, wrong, 0);
    CHECK(cudaDeviceSynchronize());
}

// What the other thread submits for the kernel that spins.
enum class Release { Copy, Kernel };

// The kernel needs what another thread submits during the free. The thread has
// used CUDA before the free if `early`, else first during it.
void spin(bool early, Release release) {
    std::atomic<bool> ready{!early}, freeing{false};
    std::thread other([&] {
        if (early) CHECK(cudaFree(nullptr));
        ready = true;
        while (!freeing) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        unsigned one = 1;
        if (release == Release::Copy)
            CHECK(cudaMemcpyAsync(buffer, &one, sizeof one, cudaMemcpyHostToDevice, second));
        else
            fill<<<1, 1, 0, second>>>(buffer, 1, one, 0);
    });
    while (!ready) std::this_thread::yield();
    wait_for_flag<<<1, 1, 0, first>>>(buffer, result);
    CHECK(cudaGetLastError());
    freeing = true;
    CHECK(cudaFree(block));
    other.join();
    CHECK(cudaDeviceSynchronize());
    unsigned seen = 0;
    CHECK(cudaMemcpy(&seen, result, sizeof seen, cudaMemcpyDeviceToHost));
    printf("spin: the kernel %s\n", seen ? "was released" : "gave up");
}

// Two streams ordered by nothing but the free between them.
void streams() {
    fill<<<BLOCKS, THREADS, 0, first>>>(buffer, WORDS, 7, LATE_US);
    CHECK(cudaFree(block));
    count_wrong<<<BLOCKS, THREADS, 0, second>>>(buffer, WORDS, 7, wrong, 0);
    unsigned long long count = 0;
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(&count, wrong, sizeof count, cudaMemcpyDeviceToHost));
    printf("streams: %llu wrong words\n", count);
}

// Events and streams that native finds finished, because the free waited.
void events() {
    cudaEvent_t before, after;
    CHECK(cudaEventCreate(&before));
    CHECK(cudaEventCreate(&after));
    CHECK(cudaEventRecord(before, first));
    fill<<<BLOCKS, THREADS, 0, first>>>(buffer, WORDS, 7, LATE_US);
    CHECK(cudaEventRecord(after, first));
    CHECK(cudaFree(block));
    float ms = 0;
    cudaError_t result = cudaEventElapsedTime(&ms, before, after);
    printf("events: elapsed %s, %s\n", cudaGetErrorName(result),
           ms * 1000 >= LATE_US ? "the kernel's time" : "too short");
}

void queries() {
    cudaEvent_t after;
    CHECK(cudaEventCreateWithFlags(&after, cudaEventDisableTiming));
    for (int i = 0; i < 2; i++) {
        CHECK(cudaMalloc(&block, 1 << 20));
        fill<<<BLOCKS, THREADS, 0, first>>>(buffer, WORDS, 7, LATE_US);
        CHECK(cudaEventRecord(after, first));
        CHECK(cudaFree(block));
        if (i == 0)
            printf("queries: event %s\n", cudaGetErrorName(cudaEventQuery(after)));
        else
            printf("queries: stream %s\n", cudaGetErrorName(cudaStreamQuery(first)));
        cudaGetLastError();
        CHECK(cudaDeviceSynchronize());
    }
}

// The program ends right after the free; native has waited, so the text is out.
void print() {
    print_late<<<1, 1, 0, first>>>(LATE_US);
    CHECK(cudaFree(block));
    printf("print: end\n");
}

// A device fault comes out at the free natively, at the next wait at the latest.
void fault() {
    fault_late<<<1, 1, 0, first>>>((unsigned *)16, LATE_US);
    cudaError_t freed = cudaFree(block);
    cudaError_t waited = cudaDeviceSynchronize();
    void *more;
    cudaError_t allocated = cudaMalloc(&more, 1 << 20);
    printf("fault: free=%s wait=%s malloc=%s\n", cudaGetErrorName(freed),
           cudaGetErrorName(waited), cudaGetErrorName(allocated));
}

} // namespace

int main(int argc, char **argv) {
    const char *which = argc > 1 ? argv[1] : "";
    setvbuf(stdout, nullptr, _IOLBF, 0);
    set_up();
    if (!strcmp(which, "spin-copy")) spin(true, Release::Copy);
    else if (!strcmp(which, "spin-kernel")) spin(true, Release::Kernel);
    else if (!strcmp(which, "spin-late-thread")) spin(false, Release::Kernel);
    else if (!strcmp(which, "streams")) streams();
    else if (!strcmp(which, "events")) events();
    else if (!strcmp(which, "queries")) queries();
    else if (!strcmp(which, "print")) print();
    else if (!strcmp(which, "fault")) fault();
    else return 2;
    return 0;
}
