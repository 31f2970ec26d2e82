/* Does what it reads, line by line, and answers each with one line:
 *   alloc N   a block of N MiB
 *   free      the block that was allocated last
 *   word      the first word of that block
 *   info      how long the driver takes to say how much memory is free, in microseconds
 *   empty     empty_cache(), if there is one */
#include "rt.h"

#include <dlfcn.h>

int main(void)
{
    static unsigned *blocks[1024];
    size_t count = 0, mib;
    char line[64];
    OK(cudaFree(NULL));
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "alloc %zu", &mib) == 1) {
            void *pointer = NULL;
            int status = (int)cudaMalloc(&pointer, mib * MIB);
            if (status == 0)
                blocks[count++] = pointer;
            else
                (void)cudaGetLastError();
            printf("alloc %zu: %d\n", mib, status);
        } else if (strncmp(line, "free", 4) == 0 && count > 0) {
            printf("free: %d\n", (int)cudaFree(blocks[--count]));
        } else if (strncmp(line, "word", 4) == 0 && count > 0) {
            unsigned word = 0;
            OK(cudaMemcpy(&word, blocks[count - 1], sizeof word, cudaMemcpyDeviceToHost));
            printf("word: %08x\n", word);
        } else if (strncmp(line, "info", 4) == 0) {
            enum { CALLS = 100 };
            size_t available, total;
            struct timespec begin, end;
            clock_gettime(CLOCK_MONOTONIC, &begin);
            for (int i = 0; i < CALLS; i++)
                OK(cudaMemGetInfo(&available, &total));
            clock_gettime(CLOCK_MONOTONIC, &end);
            double seconds = (double)(end.tv_sec - begin.tv_sec) +
                             (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
            printf("info: %.1f us\n", seconds * 1e6 / CALLS);
        } else if (strncmp(line, "empty", 5) == 0) {
            void (*empty)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "empty_cache");
            if (empty != NULL)
                empty();
            printf("empty\n");
        } else {
            printf("what?\n");
        }
        fflush(stdout);
    }
    return 0;
}
