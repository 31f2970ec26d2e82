/* Two contexts on one device. A late kernel in the first writes; a free in the first, natively a
 * wait for it, is all that stands between that and a read from the second. */
#include "drv.h"

int main(void)
{
    CUcontext first = drv_context(), second;
    CUstream stream;
    CUdeviceptr p, others[3];

    OK(cuMemAlloc(&p, MIB));
    OK(cuMemsetD32(p, 0, MIB / 4));
    for (int round = 0; round < 3; round++)
        OK(cuMemAlloc(&others[round], MIB));
    OK(cuCtxSynchronize());
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    drv_fill(p, 1, 0, 0, stream); /* loads the module into the first context */
    OK(cuCtxSynchronize());
    OK(cuCtxCreate_v2(&second, 0, 0));
    for (unsigned round = 1; round <= 3; round++) {
        unsigned word = 0;
        OK(cuCtxSetCurrent(first));
        drv_fill(p, MIB / 4, round, LATE, stream);
        OK(cuMemFree(others[round - 1]));
        OK(cuCtxSetCurrent(second));
        OK(cuMemcpyDtoH(&word, p, 4));
        printf("round %u: the second context reads %u\n", round, word);
        OK(cuCtxSetCurrent(first));
        OK(cuCtxSynchronize());
    }
    OK(cuCtxDestroy(second));
    OK(cuCtxDestroy(first));
    return 0;
}
