/* A library to preload beside cupool, as a profiler or another interposer would be: it wraps
 * cudaMalloc and cuMemAlloc_v2, and goes on to whatever comes next, found by dlsym(RTLD_NEXT).
 * `between_calls` tells the program how often it was passed. */
#include "victim.h"

#include <dlfcn.h>

int between_calls(void);
int cudaMalloc(void **, size_t);
int cuMemAlloc_v2(unsigned long long *, size_t);

static int calls;

int between_calls(void) { return calls; }

int cudaMalloc(void **pointer, size_t bytes)
{
    int (*next)(void **, size_t) = (int (*)(void **, size_t))dlsym(RTLD_NEXT, "cudaMalloc");
    EXPECT(next != NULL && next != cudaMalloc);
    calls++;
    return next(pointer, bytes);
}

int cuMemAlloc_v2(unsigned long long *pointer, size_t bytes)
{
    int (*next)(unsigned long long *, size_t) =
        (int (*)(unsigned long long *, size_t))dlsym(RTLD_NEXT, "cuMemAlloc_v2");
    EXPECT(next != NULL && next != cuMemAlloc_v2);
    calls++;
    return next(pointer, bytes);
}
