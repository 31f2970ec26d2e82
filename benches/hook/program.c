// Nanoseconds of one cuMemAlloc and one cuMemFree, the least of many rounds.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int cuInit(unsigned flags);
int cuMemAlloc_v2(uint64_t *ptr, size_t bytes);
int cuMemFree_v2(uint64_t ptr);

enum { ROUNDS = 200, PAIRS = 20000 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv) {
    size_t bytes = argc > 1 ? strtoull(argv[1], NULL, 10) : 1 << 20;
    double least = 1e9;
    cuInit(0);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int pair = 0; pair < PAIRS; pair++) {
            uint64_t ptr;
            if (cuMemAlloc_v2(&ptr, bytes) || cuMemFree_v2(ptr)) return 1;
        }
        double each = (now() - start) / PAIRS;
        if (each < least) least = each;
    }
    printf("%.1f\n", least);
}
