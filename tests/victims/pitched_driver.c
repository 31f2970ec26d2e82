/* Rows by cuMemAllocPitch: element sizes, single rows, what the driver says of them, errors. */
#include "drv.h"

static void show(size_t width, size_t height, unsigned element)
{
    CUdeviceptr p = 0x1234, base = 0;
    size_t pitch = 0x5678, bytes = 0;
    int result = cuMemAllocPitch(&p, &pitch, width, height, element);
    printf("%zu x %zu, %u: %d", width, height, element, result);
    if (result != 0) {
        printf(", pointer %#llx, pitch %#zx\n", (unsigned long long)p, pitch);
        return;
    }
    OK(cuMemGetAddressRange(&base, &bytes, p + pitch * height - 1));
    printf(", pitch %zu, a block of %zu bytes from its %s\n", pitch, bytes,
           base == p ? "start" : "inside");
    OK(cuMemsetD8(p, 1, pitch * height));
    OK(cuMemFree(p));
    SHOW(cuMemFree(p));
}

int main(void)
{
    size_t pitch = 0;
    CUdeviceptr p = 0;
    OK(cuInit(0));
    SHOW(cuMemAllocPitch(&p, &pitch, 600, 10, 4));
    drv_context();
    for (int round = 0; round < 3; round++) {
        for (unsigned element = 0; element <= 32; element += element < 4 ? 1 : 4) {
            show(600, 10, element);
            show(600, 1, element);
        }
        show(0, 10, 4);
        show(600, 0, 4);
        show(600, (size_t)1 << 40, 4);
        show(600, SIZE_MAX / 1024, 4);
        show((size_t)1 << 40, 2, 4);
        show(SIZE_MAX, 2, 4);
        show(2 * MIB, 100, 16);
    }
    SHOW(cuMemAllocPitch(NULL, &pitch, 600, 10, 4));
    SHOW(cuMemAllocPitch(&p, NULL, 600, 10, 4));
    return 0;
}
