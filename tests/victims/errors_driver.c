/* What the driver answers to allocations and frees that are not in order. */
#include "drv.h"

int main(void)
{
    CUdeviceptr p = 1, other = 0, base = 0;
    size_t size = 0;

    SHOW(cuMemAlloc(&p, 16)); /* before cuInit */
    OK(cuInit(0));
    SHOW(cuMemAlloc(&p, 16)); /* without a context */
    SHOW(cuMemFree(0x10000));
    drv_context();

    SHOW(cuMemAlloc(&p, 0));
    SHOW(cuMemAlloc(NULL, 16));
    SHOW(cuMemFree(0));
    OK(cuMemAlloc(&p, 64 * MIB));
    SHOW(cuMemFree(p + MIB));
    SHOW(cuMemFree(p));
    SHOW(cuMemFree(p));
    SHOW(cuMemFree(0x10000));
    SHOW(cuMemAlloc(&other, (size_t)1 << 60));
    SHOW(cuMemAlloc(&other, SIZE_MAX));

    /* A small block looks like what was asked for, no more. */
    OK(cuMemAlloc(&p, 1000));
    OK(cuMemGetAddressRange(&base, &size, p + 100));
    printf("range: %s base, %zu bytes\n", base == p ? "its" : "another", size);
    SHOW(cuMemGetAddressRange(&base, &size, p + 100 * MIB * 1024));
    OK(cuMemFree(p));
    SHOW(cuMemGetAddressRange(&base, &size, p));
    printf("goes on\n");
    return 0;
}
