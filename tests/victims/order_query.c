/* Frees something after launching a late kernel, and asks whether the kernel is done: natively
 * the free has waited, so both answers are yes. */
#include "rt.h"

int main(void)
{
    cudaStream_t stream = rt_stream();
    cudaEvent_t end;
    unsigned *p = rt_alloc(MIB), *first = rt_alloc(MIB), *second = rt_alloc(MIB);

    OK(cudaEventCreateWithFlags(&end, cudaEventDisableTiming));
    OK(k_fill(p, MIB / 4, 1, LATE, stream));
    OK(cudaEventRecord(end, stream));
    SHOW(cudaEventQuery(end)); /* 600: not yet */
    OK(cudaFree(first));
    SHOW(cudaEventQuery(end));
    OK(k_fill(p, MIB / 4, 2, LATE, stream));
    SHOW(cudaStreamQuery(stream));
    OK(cudaFree(second));
    SHOW(cudaStreamQuery(stream));
    OK(cudaFree(p));
    return 0;
}
