/* Frees as the process ends: from an atexit handler registered before CUDA was touched, so run
 * after the runtime's own, and from a destructor, which runs last of all. Whether such a free
 * still succeeds is the driver's business; that the process ends in peace is ours. */
#include "rt.h"

static unsigned *first, *second;

static void at_exit(void)
{
    cudaFree(first);
    printf("freed at exit\n");
}

__attribute__((destructor)) static void at_the_very_end(void)
{
    void *p = NULL;
    cudaFree(second);
    cudaMalloc(&p, MIB);
    printf("freed in a destructor\n");
    fflush(stdout);
}

int main(void)
{
    OK(atexit(at_exit));
    first = rt_alloc(MIB);
    second = rt_alloc(MIB);
    OK(cudaFree(rt_alloc(MIB)));
    return 0;
}
