/* Calls the driver through variables that are named as its functions, and that other objects can see:
 * as programs do that are written for cuew or for NVIDIA's own loader of the driver. */
#include "victim.h"

#include <dlfcn.h>

int (*cuInit)(unsigned);
int (*cuCtxCreate_v2)(void **, unsigned, int);
int (*cuMemAlloc_v2)(unsigned long long *, size_t);
int (*cuMemFree_v2)(unsigned long long);
int (*cuMemsetD32_v2)(unsigned long long, unsigned, size_t);
int (*cuMemcpyDtoH_v2)(void *, unsigned long long, size_t);

static void look_up(void *variable, void *driver, const char *name)
{
    void *found = dlsym(driver, name);
    EXPECT(found != NULL);
    memcpy(variable, &found, sizeof found);
}

#define LOOK_UP(name) look_up(&name, driver, #name)

int main(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context;
    unsigned sum = 0;
    EXPECT(driver != NULL);
    LOOK_UP(cuInit);
    LOOK_UP(cuCtxCreate_v2);
    LOOK_UP(cuMemAlloc_v2);
    LOOK_UP(cuMemFree_v2);
    LOOK_UP(cuMemsetD32_v2);
    LOOK_UP(cuMemcpyDtoH_v2);
    OK(cuInit(0));
    OK(cuCtxCreate_v2(&context, 0, 0));
    for (unsigned round = 0; round < 10; round++) {
        unsigned long long p;
        unsigned word = 0;
        OK(cuMemAlloc_v2(&p, MIB));
        OK(cuMemsetD32_v2(p, round, MIB / 4));
        OK(cuMemcpyDtoH_v2(&word, p, 4));
        sum += word;
        OK(cuMemFree_v2(p));
    }
    printf("sum %u\n", sum);
    return 0;
}
