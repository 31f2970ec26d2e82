/* Two CUDA runtimes in one process, as with a plugin that brings its own: one linked statically,
 * one opened at run time and kept out of the global scope. Memory goes from one to the other. */
#include "rt.h"

#include <dlfcn.h>

int main(void)
{
    void *library = dlopen("libcudart.so.13", RTLD_NOW | RTLD_LOCAL);
    EXPECT(library != NULL);
    cudaError_t (*alloc)(void **, size_t) =
        (cudaError_t(*)(void **, size_t))dlsym(library, "cudaMalloc");
    cudaError_t (*release)(void *) = (cudaError_t(*)(void *))dlsym(library, "cudaFree");
    cudaError_t (*last)(void) = (cudaError_t(*)(void))dlsym(library, "cudaGetLastError");
    EXPECT(alloc && release && last);

    for (int round = 0; round < 10; round++) {
        unsigned *mine = rt_alloc(MIB), word = 0;
        void *theirs = NULL;
        OK(alloc(&theirs, MIB));
        OK(k_fill(theirs, MIB / 4, round, 0, NULL));
        OK(k_copy(mine, theirs, MIB / 4, 0, NULL));
        OK(cudaMemcpy(&word, mine + 100, 4, cudaMemcpyDeviceToHost));
        EXPECT(word == (unsigned)round);
        OK(release(mine));
        OK(cudaFree(theirs));
    }
    /* Each keeps an error of its own. */
    SHOW(release((void *)0x10000));
    SHOW(cudaGetLastError());
    SHOW(last());
    return 0;
}
