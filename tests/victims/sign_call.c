/* Host code that the GPU's stream calls late sets a variable. The program frees something and
 * reads the variable at once: natively the free has waited for the stream. */
#include "rt.h"

#include <stdatomic.h>

static atomic_uint seen;

#if defined(HOST_FUNC)
static void called(void *value) { atomic_store(&seen, *(unsigned *)value); }
#elif defined(CALLBACK)
static void called(cudaStream_t stream, cudaError_t status, void *value)
{
    (void)stream;
    (void)status;
    atomic_store(&seen, *(unsigned *)value);
}
#endif

int main(void)
{
    cudaStream_t stream = rt_stream();
    unsigned *p = rt_alloc(MIB);

    for (unsigned round = 1; round <= 3; round++) {
        unsigned *other = rt_alloc(MIB);
        OK(k_fill(p, MIB / 4, round, LATE, stream));
#if defined(HOST_FUNC)
        OK(cudaLaunchHostFunc(stream, called, &round));
#elif defined(CALLBACK)
        OK(cudaStreamAddCallback(stream, called, &round, 0));
#endif
        OK(cudaFree(other));
        printf("round %u: the host sees %u\n", round, atomic_load(&seen));
        OK(cudaDeviceSynchronize());
    }
    return 0;
}
