/* Allocates through the shared runtime with another preloaded library, between.c, in the way:
 * that one must be passed exactly once by each call. */
#include "rt.h"

#include <dlfcn.h>

int main(void)
{
    int (*calls)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "between_calls");
    EXPECT(calls != NULL);
    for (int round = 0; round < 10; round++) {
        unsigned *p = rt_alloc(MIB);
        OK(cudaFree(p));
    }
    int (*found)(void **, size_t) =
        (int (*)(void **, size_t))dlsym(RTLD_DEFAULT, "cudaMalloc");
    void *p = NULL;
    EXPECT(found != NULL);
    OK(found(&p, MIB));
    OK(cudaFree(p));
    printf("passed %d times\n", calls());
    return 0;
}
