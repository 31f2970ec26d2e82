// CUDA C++ as it is often written: a step allocates its scratch memory and frees it at the end of
// its scope. Natively each cudaFree stops the host until the GPU is done and each cudaMalloc asks
// the driver; with cupool both stay in the process.
//
//     nvcc -O2 scratch.cu -o scratch          (libcudart is linked statically, which is fine)
//     ./scratch
//     LD_PRELOAD=libcupool.so ./scratch
//
// No test runs this where there is no GPU: it has kernels of its own, which take nvcc and a device.
#include <chrono>
#include <cstdio>
#include <cstdlib>

static void check(cudaError_t result)
{
    if (result != cudaSuccess) {
        std::fprintf(stderr, "%s\n", cudaGetErrorString(result));
        std::exit(1);
    }
}

// Device memory that lives as long as its scope.
template <typename T> class Scratch {
public:
    explicit Scratch(size_t count) { check(cudaMalloc(&pointer_, count * sizeof(T))); }
    ~Scratch() { cudaFree(pointer_); }
    Scratch(const Scratch &) = delete;
    Scratch &operator=(const Scratch &) = delete;
    T *get() const { return pointer_; }

private:
    T *pointer_ = nullptr;
};

__global__ void square(const float *in, float *out, size_t count)
{
    size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x;
    if (i < count) out[i] = in[i] * in[i];
}

static void step(const float *in, float *out, size_t count)
{
    Scratch<float> squares(count);
    unsigned blocks = unsigned((count + 255) / 256);
    square<<<blocks, 256>>>(in, squares.get(), count);
    square<<<blocks, 256>>>(squares.get(), out, count);
    check(cudaGetLastError());
}

int main()
{
    constexpr size_t count = 1 << 18;
    constexpr int steps = 10000;
    Scratch<float> in(count), out(count);
    check(cudaMemset(in.get(), 0, count * sizeof(float)));
    step(in.get(), out.get(), count);
    check(cudaDeviceSynchronize());

    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; i++) step(in.get(), out.get(), count);
    check(cudaDeviceSynchronize());
    std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
    std::printf("%.2f us per step\n", time.count() / steps);
    return 0;
}
