/* The kernels that victims launch. kernels.cu has them for a GPU, kernels_sim.c for the
 * simulated driver. Each function launches one kernel on stream `s` and returns the launch's
 * cudaError_t. The kernel first spins for `delay_us` microseconds, then does its work. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes `value` to each word. */
int k_fill(unsigned *p, size_t words, unsigned value, long delay_us, cudaStream_t s);
/* Copies each word. */
int k_copy(unsigned *dst, const unsigned *src, size_t words, long delay_us, cudaStream_t s);
/* Adds the number of words that are not `expect` to `*mismatches`, which is device memory. */
int k_check(const unsigned *p, size_t words, unsigned expect, unsigned *mismatches, long delay_us,
            cudaStream_t s);
/* Spins until `*flag`, device memory, is `value`. */
int k_wait_flag(const volatile unsigned *flag, unsigned value, cudaStream_t s);
/* Prints "device says NUMBER" from the device. */
int k_print(int number, long delay_us, cudaStream_t s);
/* Writes where nothing is mapped. */
int k_fault(cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
