/* A kernel faults; then the program frees. Natively the free waits and so reports the fault. */
#include "rt.h"

int main(void)
{
    unsigned *p = rt_alloc(MIB), *q = rt_alloc(MIB);
    OK(k_fault(rt_stream()));
    printf("free %s\n", cudaFree(p) == cudaSuccess ? "succeeds" : "reports the fault");
    printf("synchronize %s\n",
           cudaDeviceSynchronize() == cudaSuccess ? "succeeds" : "reports the fault");
    printf("next free %s\n", cudaFree(q) == cudaSuccess ? "succeeds" : "reports the fault");
    printf("next malloc %s\n",
           cudaMalloc((void **)&p, MIB) == cudaSuccess ? "succeeds" : "reports the fault");
    return 0;
}
