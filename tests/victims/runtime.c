/* An ordinary program on the runtime API. Linked once against the static runtime, which calls
 * nothing by a name that a preloaded library could take over, and once against the shared one. */
#include "rt.h"

int main(void)
{
    static const size_t sizes[] = {4, 256, 1000, 64 * KIB, MIB, 3 * MIB + 4, 16 * MIB};
    cudaStream_t stream = rt_stream();
    unsigned long long sum = 0;

    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned *p = rt_alloc(sizes[i]), value = round * 100 + i, last = 0;
            size_t words = sizes[i] / 4;
            OK(k_fill(p, words, value, 0, stream));
            OK(cudaStreamSynchronize(stream));
            OK(cudaMemcpy(&last, p + words - 1, 4, cudaMemcpyDeviceToHost));
            EXPECT(last == value);
            EXPECT(((uintptr_t)p & 255) == 0);
            sum += last;
            OK(cudaFree(p));
        }
    }
    printf("sum %llu\n", sum);
    return 0;
}
