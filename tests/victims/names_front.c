/* Stands in front of the driver's functions by their very names, and tells at exit how often it was
 * passed. The real ones it takes from the driver itself, or with -DNEXT from what comes behind it in
 * the dynamic linker's order. As a program of its own (-DPROGRAM) it passes by them itself. */
#include "victim.h"

#include <dlfcn.h>
#include <stdatomic.h>

typedef int allocate(unsigned long long *, size_t);
typedef int release(unsigned long long);

int cuMemAlloc_v2(unsigned long long *pointer, size_t bytes);
int cuMemFree_v2(unsigned long long pointer);

static atomic_int allocations, frees;

static void *real(const char *name)
{
#ifdef NEXT
    void *found = dlsym(RTLD_NEXT, name);
#else
    void *found = dlsym(dlopen("libcuda.so.1", RTLD_NOW), name);
#endif
    EXPECT(found != NULL);
    return found;
}

int cuMemAlloc_v2(unsigned long long *pointer, size_t bytes)
{
    static allocate *next;
    if (next == NULL)
        next = (allocate *)real("cuMemAlloc_v2");
    allocations++;
    return next(pointer, bytes);
}

int cuMemFree_v2(unsigned long long pointer)
{
    static release *next;
    if (next == NULL)
        next = (release *)real("cuMemFree_v2");
    frees++;
    return next(pointer);
}

__attribute__((destructor)) static void tell(void)
{
    printf("passed by %d allocations, %d frees\n", allocations, frees);
}

#ifdef PROGRAM
int main(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context;
    EXPECT(driver != NULL);
    int (*init)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
    int (*create)(void **, unsigned, int) =
        (int (*)(void **, unsigned, int))dlsym(driver, "cuCtxCreate_v2");
    OK(init(0));
    OK(create(&context, 0, 0));
    for (int round = 0; round < 10; round++) {
        unsigned long long p;
        OK(cuMemAlloc_v2(&p, MIB));
        OK(cuMemFree_v2(p));
    }
    return 0;
}
#endif
