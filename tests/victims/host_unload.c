/* Loads libcupool.so (the first argument) as a program might that does not start with it, closes it
 * again, and goes on: by itself (`idle`), or after CUDA was used through it (`used`). A signal comes
 * when nobody seems to need the library any more. */
#include "victim.h"

#include <dlfcn.h>
#include <signal.h>

#define FUNCTION(library, name, ...)                                                             \
    int (*name)(__VA_ARGS__) = (int (*)(__VA_ARGS__))dlsym(library, #name);                       \
    EXPECT(name != NULL)

int main(int argc, char **argv)
{
    EXPECT(argc == 3);
    void *cupool = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    EXPECT(cupool != NULL);
    if (strcmp(argv[2], "used") == 0) {
        void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context;
        unsigned long long p = 0;
        EXPECT(driver != NULL);
        FUNCTION(driver, cuInit, unsigned);
        FUNCTION(driver, cuCtxCreate_v2, void **, unsigned, int);
        FUNCTION(cupool, cuMemAlloc_v2, unsigned long long *, size_t);
        FUNCTION(cupool, cuMemFree_v2, unsigned long long);
        OK(cuInit(0));
        OK(cuCtxCreate_v2(&context, 0, 0));
        for (int round = 0; round < 10; round++) {
            OK(cuMemAlloc_v2(&p, MIB));
            OK(cuMemFree_v2(p));
        }
    }
    OK(dlclose(cupool));
    sleep_ms(50);
    OK(raise(SIGUSR1));
    sleep_ms(50);
    printf("alive\n");
    return 0;
}
