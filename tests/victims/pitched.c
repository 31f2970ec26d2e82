/* Rows by cudaMallocPitch and cudaMalloc3D: many widths, again and again, with errors in between. */
#include "rt.h"

enum { HEIGHT = 40, ROUNDS = 4 };

static const size_t widths[] = {1,    4,    100,  511,  512,   513,   600,    1000,
                                1023, 1024, 1025, 4096, 10000, 65536, 100000, 1000000};

enum { WIDTHS = sizeof widths / sizeof *widths };

/* Every row is written and looked at to its end. */
static void use(void *p, size_t pitch, size_t height, unsigned value)
{
    size_t words = pitch * height / 4;
    OK(k_fill(p, words, value, 0, NULL));
    EXPECT(rt_mismatches(p, words, value) == 0);
}

int main(void)
{
    void *p = NULL;
    size_t pitch = 0;

    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < WIDTHS; i++) {
            OK(cudaMallocPitch(&p, &pitch, widths[i], HEIGHT));
            printf("%zu bytes in a row: pitch %zu, aligned %s\n", widths[i], pitch,
                   (uintptr_t)p % 512 == 0 ? "well" : "badly");
            use(p, pitch, HEIGHT, round * WIDTHS + i + 1);
            OK(cudaFree(p));
        }

    struct cudaPitchedPtr box;
    for (int round = 0; round < ROUNDS; round++)
        for (size_t depth = 1; depth <= 3; depth++) {
            OK(cudaMalloc3D(&box, make_cudaExtent(600, HEIGHT, depth)));
            printf("3D: pitch %zu, %zu x %zu\n", box.pitch, box.xsize, box.ysize);
            use(box.ptr, box.pitch, HEIGHT * depth, (unsigned)depth);
            OK(cudaFree(box.ptr));
        }

    for (int round = 0; round < 2; round++) {
        p = &pitch;
        SHOW(cudaMallocPitch(&p, &pitch, 600, (size_t)1 << 40));
        printf("pointer %s\n", p == NULL ? "NULL" : p == &pitch ? "unchanged" : "set");
        SHOW(cudaGetLastError());
        SHOW(cudaMallocPitch(&p, &pitch, 0, 10));
        SHOW(cudaMallocPitch(&p, &pitch, 600, 0));
        SHOW(cudaMallocPitch(NULL, &pitch, 600, 10));
        SHOW(cudaMallocPitch(&p, NULL, 600, 10));
        SHOW(cudaGetLastError());
    }
    return 0;
}
