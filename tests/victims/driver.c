/* An ordinary program on the driver API, linked with -lcuda: its calls are bound by the dynamic
 * linker. */
#include "drv.h"

int main(void)
{
    static const size_t sizes[] = {4, 512, 64 * KIB, MIB, 16 * MIB};
    CUcontext context = drv_context();
    CUstream stream;
    CUdeviceptr wrong;
    unsigned long long sum = 0;
    unsigned count = 0;

    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuMemAlloc(&wrong, 4));
    OK(cuMemsetD32(wrong, 0, 1));
    OK(cuCtxSynchronize());
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            CUdeviceptr p = 0, base = 0;
            size_t words = sizes[i] / 4, size = 0;
            unsigned value = round * 100 + i, last = 0;
            OK(cuMemAlloc(&p, sizes[i]));
            drv_fill(p, words, value, 0, stream);
            drv_check(p, words, value, wrong, 0, stream);
            OK(cuStreamSynchronize(stream));
            OK(cuMemcpyDtoH(&last, p + sizes[i] - 4, 4));
            OK(cuMemGetAddressRange(&base, &size, p));
            EXPECT(last == value && base == p && size == sizes[i]);
            sum += last;
            OK(cuMemFree(p));
        }
    }
    OK(cuMemcpyDtoH(&count, wrong, 4));
    printf("sum %llu, mismatches %u\n", sum, count);
    OK(cuMemFree(wrong));
    OK(cuStreamDestroy(stream));
    OK(cuCtxDestroy(context));
    return 0;
}
