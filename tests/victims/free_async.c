/* Frees in stream order what was allocated without: the driver may have something else there
 * later, which is none of the block's business. */
#include "drv.h"

int main(void)
{
    CUdeviceptr p, q;
    drv_context();
    for (int i = 0; i < 4; i++) {
        OK(cuMemAlloc(&p, 4 * MIB));
        OK(cuMemFreeAsync(p, NULL));
        OK(cuCtxSynchronize());
        SHOW(cuMemFree(p));
        OK(cuMemAllocAsync(&q, 4 * MIB, NULL));
        SHOW(cuMemFree(q));
        SHOW(cuMemFreeAsync(q, NULL));
    }
    OK(cuMemAlloc(&p, MIB));
    OK(cuMemFree(p));
    return 0;
}
