/* The victims' kernels on the simulated runtime; kernels.h says what each does. */
#include "kernels.h"

#include <stdint.h>

/* The simulated runtime's stand-in for what nvcc makes of `<<<...>>>`. */
cudaError_t simLaunch(const char *kernel, void **arguments, cudaStream_t stream);

int k_fill(unsigned *p, size_t words, unsigned value, long delay_us, cudaStream_t s)
{
    uint64_t pointer = (uintptr_t)p, count = words;
    int64_t delay = delay_us;
    return simLaunch("fill", (void *[]){&pointer, &count, &value, &delay}, s);
}

int k_copy(unsigned *dst, const unsigned *src, size_t words, long delay_us, cudaStream_t s)
{
    uint64_t to = (uintptr_t)dst, from = (uintptr_t)src, count = words;
    int64_t delay = delay_us;
    return simLaunch("copy", (void *[]){&to, &from, &count, &delay}, s);
}

int k_check(const unsigned *p, size_t words, unsigned expect, unsigned *mismatches, long delay_us,
            cudaStream_t s)
{
    uint64_t pointer = (uintptr_t)p, count = words, result = (uintptr_t)mismatches;
    int64_t delay = delay_us;
    return simLaunch("check", (void *[]){&pointer, &count, &expect, &result, &delay}, s);
}

int k_wait_flag(const volatile unsigned *flag, unsigned value, cudaStream_t s)
{
    uint64_t pointer = (uintptr_t)flag;
    return simLaunch("wait_flag", (void *[]){&pointer, &value}, s);
}

int k_print(int number, long delay_us, cudaStream_t s)
{
    int64_t delay = delay_us;
    return simLaunch("print", (void *[]){&number, &delay}, s);
}

int k_fault(cudaStream_t s)
{
    return simLaunch("fault", (void *[]){NULL}, s);
}
