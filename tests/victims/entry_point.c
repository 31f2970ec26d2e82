/* The driver's functions through cudaGetDriverEntryPointByVersion, next to the runtime's own; with
 * LATEST through the older cudaGetDriverEntryPoint, which takes the runtime's own version. */
#include "rt.h"

#include <cuda.h>

static cudaError_t find(const char *name, void **function, unsigned long long flags,
                        enum cudaDriverEntryPointQueryResult *found)
{
#ifdef LATEST
    return cudaGetDriverEntryPoint(name, function, flags, found);
#else
    return cudaGetDriverEntryPointByVersion(name, function, 12000, flags, found);
#endif
}

int main(void)
{
    enum cudaDriverEntryPointQueryResult found;
    void *alloc = NULL, *release = NULL, *unknown = NULL;
    unsigned *ours = rt_alloc(MIB);

    OK(find("cuMemAlloc", &alloc, cudaEnableDefault, &found));
    EXPECT(found == cudaDriverEntryPointSuccess && alloc != NULL);
    OK(find("cuMemFree", &release, cudaEnablePerThreadDefaultStream, &found));
    EXPECT(found == cudaDriverEntryPointSuccess && release != NULL);
    OK(find("cuNoSuchThing", &unknown, cudaEnableDefault, &found));
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
