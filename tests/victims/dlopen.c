/* A program that is linked against no CUDA library and looks every function up itself with dlsym.
 * Given the argument `dlvsym` it tries that first. */
#include "victim.h"

#include <dlfcn.h>

static void *driver;
static const char *version;
static int versioned;

static void *look_up(const char *name)
{
    void *function = version ? dlvsym(driver, name, version) : NULL;
    if (function != NULL)
        versioned++;
    else
        function = dlsym(driver, name);
    EXPECT(function != NULL);
    return function;
}

#define FUNCTION(name, ...) int (*name)(__VA_ARGS__) = (int (*)(__VA_ARGS__))look_up(#name)

int main(int argc, char **argv)
{
    version = argc > 1 && strcmp(argv[1], "dlvsym") == 0 ? "CUDA_1" : NULL;
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    EXPECT(driver != NULL);
    FUNCTION(cuInit, unsigned);
    FUNCTION(cuDeviceGet, int *, int);
    FUNCTION(cuCtxCreate_v2, void **, unsigned, int);
    FUNCTION(cuCtxDestroy_v2, void *);
    FUNCTION(cuMemAlloc_v2, unsigned long long *, size_t);
    FUNCTION(cuMemFree_v2, unsigned long long);
    FUNCTION(cuMemsetD32_v2, unsigned long long, unsigned, size_t);
    FUNCTION(cuMemcpyDtoH_v2, void *, unsigned long long, size_t);

    int device;
    void *context;
    unsigned long long sum = 0;
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    OK(cuCtxCreate_v2(&context, 0, device));
    for (unsigned round = 0; round < 50; round++) {
        unsigned long long p = 0;
        unsigned word = 0;
        OK(cuMemAlloc_v2(&p, 2 * MIB));
        OK(cuMemsetD32_v2(p, round, 2 * MIB / 4));
        OK(cuMemcpyDtoH_v2(&word, p + 4096, 4));
        EXPECT(word == round);
        sum += word;
        OK(cuMemFree_v2(p));
    }
    OK(cuCtxDestroy_v2(context));
    /* Names that are nobody's business but the program's. */
    EXPECT(dlsym(driver, "no_such_function") == NULL && dlerror() != NULL);
#ifdef __x86_64__
    EXPECT(dlvsym(RTLD_DEFAULT, "memcpy", "GLIBC_2.14") != NULL);
    EXPECT(dlvsym(RTLD_DEFAULT, "memcpy", "GLIBC_9.9") == NULL);
#endif
    printf("sum %llu, %d versioned\n", sum, versioned);
    return 0;
}
