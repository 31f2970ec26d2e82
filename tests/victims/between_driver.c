/* Allocates through the driver API, linked with -lcuda, with another preloaded library,
 * between.c, in the way. How often that one is passed is the dynamic linker's choice of order,
 * which cupool in front changes; that each call succeeds and frees is not. */
#include "drv.h"

int main(void)
{
    drv_context();
    for (int round = 0; round < 10; round++) {
        CUdeviceptr p = 0;
        OK(cuMemAlloc(&p, MIB));
        OK(cuMemsetD32(p, round, 16));
        OK(cuMemFree(p));
    }
    printf("done\n");
    return 0;
}
