/* The driver's functions through cudaGetDriverEntryPointByVersion, next to the runtime's own. */
#include "rt.h"

#include <cuda.h>

int main(void)
{
    enum cudaDriverEntryPointQueryResult found;
    void *alloc = NULL, *release = NULL, *unknown = NULL;
    unsigned *ours = rt_alloc(MIB);

    OK(cudaGetDriverEntryPointByVersion("cuMemAlloc", &alloc, 12000, cudaEnableDefault, &found));
    EXPECT(found == cudaDriverEntryPointSuccess && alloc != NULL);
    OK(cudaGetDriverEntryPointByVersion("cuMemFree", &release, 12000,
                                        cudaEnablePerThreadDefaultStream, &found));
    EXPECT(found == cudaDriverEntryPointSuccess && release != NULL);
    OK(cudaGetDriverEntryPointByVersion("cuNoSuchThing", &unknown, 12000, cudaEnableDefault,
                                        &found));
    printf("unknown name: found %d, %s\n", (int)found, unknown ? "a pointer" : "NULL");

    for (int round = 0; round < 20; round++) {
        CUdeviceptr p = 0;
        OK(((CUresult(*)(CUdeviceptr *, size_t))alloc)(&p, MIB));
        OK(cudaMemset((void *)p, round, MIB));
        OK(cudaFree((void *)p)); /* crosswise: allocated by one interface, freed by the other */
        void *q = NULL;
        OK(cudaMalloc(&q, MIB));
        OK(((CUresult(*)(CUdeviceptr))release)((CUdeviceptr)q));
    }
    OK(cudaFree(ours));
    printf("done\n");
    return 0;
}
