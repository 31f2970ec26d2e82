/* Fills the device with cuMemAlloc and frees all of it; then takes most of it through the
 * virtual memory calls, which never pass cuMemAlloc. */
#include "drv.h"

enum { PIECES = 8 };

int main(void)
{
    CUdeviceptr pieces[PIECES];
    size_t available = 0, total = 0;
    CUmemAllocationProp properties = {0};
    CUmemGenericAllocationHandle handle;

    drv_context();
    OK(cuMemGetInfo(&available, &total));
    available -= available / 10;
    size_t size = available / PIECES / (2 * MIB) * (2 * MIB);
    for (int i = 0; i < PIECES; i++)
        OK(cuMemAlloc(&pieces[i], size));
    for (int i = 0; i < PIECES; i++)
        OK(cuMemFree(pieces[i]));
    properties.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    SHOW(cuMemCreate(&handle, (PIECES - 1) * size, &properties, 0));
    SHOW(cuMemRelease(handle));
    SHOW(cuMemCreate(&handle, total / (2 * MIB) * (2 * MIB) * 2, &properties, 0));
    return 0;
}
