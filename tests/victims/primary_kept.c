/* Releases a primary context that another library has retained too, by a way of its own: it stays,
 * and so does what can be had of its memory. */
#include "drv.h"

#include <dlfcn.h>

#ifdef RETAIN
/* Behind every other library that stands in front of the driver. */
int retain_unseen(void **context, int device)
{
    int (*retain)(void **, int) = (int (*)(void **, int))dlsym(RTLD_NEXT, "cuDevicePrimaryCtxRetain");
    return retain(context, device);
}
#else
int main(void)
{
    int (*retain_unseen)(CUcontext *, CUdevice) =
        (int (*)(CUcontext *, CUdevice))dlsym(RTLD_DEFAULT, "retain_unseen");
    CUdevice device;
    CUcontext context;
    CUdeviceptr p, q;
    size_t available, total;
    EXPECT(retain_unseen != NULL);
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    OK(retain_unseen(&context, device));
    OK(cuCtxSetCurrent(context));
    OK(cuMemAlloc(&p, 64 * MIB));
    OK(cuMemAlloc(&q, 64 * MIB));
    OK(cuMemGetInfo(&available, &total));
    OK(cuMemFree(p));

    OK(cuDevicePrimaryCtxRetain(&context, device));
    OK(cuDevicePrimaryCtxRelease(device));
    OK(cuMemFree(q));
    SHOW(cuMemAlloc(&p, available + 100 * MIB));
    return 0;
}
#endif
