// The victims' kernels for a GPU; kernels.h says what each does.
#include <cstdio>

#include "kernels.h"

using u64 = unsigned long long;
using i64 = long long;

__device__ static void spin(i64 delay_us)
{
    u64 start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while ((i64)(now - start) < delay_us * 1000);
}

__device__ static u64 first() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ static u64 stride() { return (u64)gridDim.x * blockDim.x; }

extern "C" __global__ void fill(u64 ptr, u64 words, unsigned value, i64 delay_us)
{
    auto *p = (volatile unsigned *)ptr;
    spin(delay_us);
    for (u64 i = first(); i < words; i += stride()) p[i] = value;
}

extern "C" __global__ void copy(u64 dst, u64 src, u64 words, i64 delay_us)
{
    auto *to = (volatile unsigned *)dst;
    auto *from = (const volatile unsigned *)src;
    spin(delay_us);
    for (u64 i = first(); i < words; i += stride()) to[i] = from[i];
}

extern "C" __global__ void check(u64 ptr, u64 words, unsigned expect, u64 mismatches, i64 delay_us)
{
    auto *p = (const volatile unsigned *)ptr;
    unsigned wrong = 0;
    spin(delay_us);
    for (u64 i = first(); i < words; i += stride()) wrong += p[i] != expect;
    if (wrong) atomicAdd((unsigned *)mismatches, wrong);
}

// Gives up after three seconds: natively cudaFree holds up other threads' submissions too (driver
// 580), so that nothing would ever release it.
extern "C" __global__ void wait_flag(u64 flag, unsigned value)
{
    u64 start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (*(const volatile unsigned *)flag != value && now - start < 3000000000ull);
}

extern "C" __global__ void print(int number, i64 delay_us)
{
    spin(delay_us);
    printf("device says %d\n", number);
}

extern "C" __global__ void fault() { *(volatile unsigned *)0x10 = 1; }

extern "C" int k_fill(unsigned *p, size_t words, unsigned value, long delay_us, cudaStream_t s)
{
    fill<<<64, 256, 0, s>>>((u64)p, words, value, delay_us);
    return cudaGetLastError();
}

extern "C" int k_copy(unsigned *dst, const unsigned *src, size_t words, long delay_us,
                      cudaStream_t s)
{
    copy<<<64, 256, 0, s>>>((u64)dst, (u64)src, words, delay_us);
    return cudaGetLastError();
}

extern "C" int k_check(const unsigned *p, size_t words, unsigned expect, unsigned *mismatches,
                       long delay_us, cudaStream_t s)
{
    check<<<64, 256, 0, s>>>((u64)p, words, expect, (u64)mismatches, delay_us);
    return cudaGetLastError();
}

extern "C" int k_wait_flag(const volatile unsigned *flag, unsigned value, cudaStream_t s)
{
    wait_flag<<<1, 1, 0, s>>>((u64)flag, value);
    return cudaGetLastError();
}

extern "C" int k_print(int number, long delay_us, cudaStream_t s)
{
    print<<<1, 1, 0, s>>>(number, delay_us);
    return cudaGetLastError();
}

extern "C" int k_fault(cudaStream_t s)
{
    fault<<<1, 1, 0, s>>>();
    return cudaGetLastError();
}
