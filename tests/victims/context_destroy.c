/* Destroys contexts that still own cached and live blocks; each new context may get the old
 * one's handle and addresses, and starts with nothing of it. */
#include "drv.h"

int main(void)
{
    for (int round = 0; round < 5; round++) {
        CUcontext context = drv_context();
        CUdeviceptr live, freed[4], again;
        unsigned word = 0;
        OK(cuMemAlloc(&live, MIB)); /* never freed: the context takes it along */
        for (int i = 0; i < 4; i++)
            OK(cuMemAlloc(&freed[i], 4 * MIB));
        for (int i = 0; i < 4; i++)
            OK(cuMemFree(freed[i]));
        OK(cuMemAlloc(&again, 4 * MIB));
        OK(cuMemsetD32(again, round, MIB));
        OK(cuMemcpyDtoH(&word, again + MIB, 4));
        printf("round %d: %u\n", round, word);
        OK(cuCtxDestroy(context));
        printf("after it: malloc %d\n", (int)cuMemAlloc(&again, MIB));
    }
    return 0;
}
