/* Records two events around a late kernel, frees something, and reads the time between them:
 * natively the free has waited, so the events are complete. */
#include "rt.h"

int main(void)
{
    cudaStream_t stream = rt_stream();
    cudaEvent_t start, end;
    unsigned *p = rt_alloc(MIB), *other = rt_alloc(MIB);
    float ms = 0;

    OK(cudaEventCreate(&start));
    OK(cudaEventCreate(&end));
    OK(cudaEventRecord(start, stream));
    OK(k_fill(p, MIB / 4, 1, LATE, stream));
    OK(cudaEventRecord(end, stream));
    OK(cudaFree(other));
    SHOW(cudaEventElapsedTime(&ms, start, end));
    printf("%s\n", ms >= LATE / 1000 * 0.9 ? "plausible" : "too short");
    OK(cudaFree(p));
    return 0;
}
