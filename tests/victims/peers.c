/* Two devices: memory of the first is filled by the second, which has enabled access to it, whether
 * it was allocated before that or after, freed and allocated again, or put together from what was
 * free. With one device, or two that cannot, it says so. */
#include "drv.h"

static CUcontext first, second;

/* The second device fills `bytes` of the first one's memory; the first looks at both ends. */
static void use(const char *what, CUdeviceptr p, size_t bytes, unsigned value)
{
    unsigned words[2];
    OK(cuCtxSetCurrent(second));
    OK(cuMemsetD32(p, value, bytes / 4));
    OK(cuCtxSynchronize());
    OK(cuCtxSetCurrent(first));
    OK(cuMemcpyDtoH(words, p, 4));
    OK(cuMemcpyDtoH(words + 1, p + bytes - 4, 4));
    printf("%s: %u, %u\n", what, words[0], words[1]);
}

static CUdeviceptr allocate(size_t bytes)
{
    CUdeviceptr p;
    OK(cuMemAlloc(&p, bytes));
    return p;
}

int main(void)
{
    CUdeviceptr pieces[8], p, small, large;
    int count = 0, able = 0;

    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&first, 0));
    OK(cuCtxSetCurrent(first));
    small = allocate(1000);
    large = allocate(130 * MIB);
    OK(cuDeviceGetCount(&count));
    if (count > 1)
        OK(cuDeviceCanAccessPeer(&able, 1, 0));
    if (!able) {
        printf("no peers\n");
        return 0;
    }
    OK(cuDevicePrimaryCtxRetain(&second, 1));
    OK(cuCtxSetCurrent(second));
    SHOW(cuCtxEnablePeerAccess(second, 0));
    SHOW(cuCtxEnablePeerAccess(first, 1));
    SHOW(cuCtxEnablePeerAccess(first, 0));
    SHOW(cuCtxEnablePeerAccess(first, 0));
    use("small, before", small, 1000, 1);
    use("large, before", large, 130 * MIB, 2);
    p = allocate(70 * MIB);
    use("after", p, 70 * MIB, 3);
    OK(cuMemFree(p));
    p = allocate(70 * MIB);
    use("again", p, 70 * MIB, 4);
    OK(cuMemFree(p));
    for (int i = 0; i < 8; i++)
        pieces[i] = allocate(96 * MIB);
    for (int i = 0; i < 8; i += 2)
        OK(cuMemFree(pieces[i]));
    p = allocate(380 * MIB);
    use("in the place of others", p, 380 * MIB, 5);
    for (int i = 1; i < 8; i += 2)
        use("beside it", pieces[i], 96 * MIB, 6);
    OK(cuMemFree(p));
    OK(cuCtxSetCurrent(second));
    SHOW(cuCtxDisablePeerAccess(first));
    SHOW(cuCtxDisablePeerAccess(first));
    SHOW(cuCtxEnablePeerAccess(first, 0));
    use("after all", large, 130 * MIB, 7);
    OK(cuDevicePrimaryCtxRelease(1));
    OK(cuDevicePrimaryCtxRelease(0));
    return 0;
}
