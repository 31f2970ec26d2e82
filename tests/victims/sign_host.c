/* A kernel writes late into memory that the host can read (pinned, registered or managed). The
 * program frees something else and reads at once: natively the free has waited for the kernel. */
#include "rt.h"

int main(void)
{
    cudaStream_t stream = rt_stream();
    unsigned *host = NULL, *device = NULL;

#if defined(PINNED)
    OK(cudaMallocHost((void **)&host, 4096));
    device = host;
#elif defined(REGISTERED)
    host = aligned_alloc(4096, 4096);
    EXPECT(host != NULL);
    OK(cudaHostRegister(host, 4096, cudaHostRegisterDefault));
    device = host;
#elif defined(MANAGED)
    OK(cudaMallocManaged((void **)&host, 4096, cudaMemAttachGlobal));
    device = host;
#endif
    for (int i = 0; i < 1024; i++)
        host[i] = 0;
    for (unsigned round = 1; round <= 3; round++) {
        unsigned *other = rt_alloc(MIB);
        OK(k_fill(device, 1024, round, LATE, stream));
        OK(cudaFree(other));
        printf("round %u: the host reads %u\n", round, *(volatile unsigned *)(host + 1000));
        OK(cudaDeviceSynchronize());
    }
    return 0;
}
