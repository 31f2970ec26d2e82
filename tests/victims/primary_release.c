/* Retains, uses, and releases or resets the primary context, with blocks still cached. */
#include "drv.h"

int main(void)
{
    CUdevice device;
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    for (int round = 0; round < 6; round++) {
        CUcontext context;
        CUdeviceptr p, q;
        unsigned word = 0;
        OK(cuDevicePrimaryCtxRetain(&context, device));
        OK(cuCtxSetCurrent(context));
        OK(cuMemAlloc(&p, 4 * MIB));
        OK(cuMemFree(p));
        OK(cuMemAlloc(&p, 4 * MIB));
        OK(cuMemAlloc(&q, 4 * MIB));
        OK(cuMemsetD32(p, round, MIB));
        OK(cuMemcpyDtoH(&word, p, 4));
        OK(cuMemFree(p));
        if (round % 2)
            OK(cuDevicePrimaryCtxReset(device));
        OK(cuDevicePrimaryCtxRelease(device));
        OK(cuCtxSetCurrent(NULL));
        printf("round %d: %u\n", round, word);
    }
    return 0;
}
