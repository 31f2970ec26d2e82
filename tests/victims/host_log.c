/* A library to preload beside cupool, of the kind that logs CUDA calls: it stands in front of
 * `dlsym`, of `cuGetProcAddress_v2` and of two functions of the driver wherever a program can obtain
 * them, goes on to the real ones, and tells at exit how often it was passed. `LOG_SILENT` in the
 * environment: it does not tell. */
#include "victim.h"

#include <dlfcn.h>
#include <stdatomic.h>

typedef void *look_up(void *, const char *);
typedef int allocate(unsigned long long *, size_t);
typedef int release(unsigned long long);
typedef int get_address(const char *, void **, int, unsigned long long, void *);

int cuMemAlloc_v2(unsigned long long *pointer, size_t bytes);
int cuMemFree_v2(unsigned long long pointer);
int cuGetProcAddress_v2(const char *, void **, int, unsigned long long, void *);

static atomic_int allocations, frees;

#ifdef __aarch64__
#define FIRST_VERSION "GLIBC_2.17"
#else
#define FIRST_VERSION "GLIBC_2.2.5"
#endif

static look_up *real_dlsym(void)
{
    static look_up *found;
    if (found == NULL)
        found = (look_up *)dlvsym(RTLD_NEXT, "dlsym", FIRST_VERSION);
    EXPECT(found != NULL);
    return found;
}

static void *next(const char *name)
{
    void *found = real_dlsym()(RTLD_NEXT, name);
    if (found == NULL)
        found = real_dlsym()(dlopen("libcuda.so.1", RTLD_NOW), name);
    EXPECT(found != NULL);
    return found;
}

int cuMemAlloc_v2(unsigned long long *pointer, size_t bytes)
{
    static allocate *real;
    if (real == NULL)
        real = (allocate *)next("cuMemAlloc_v2");
    allocations++;
    return real(pointer, bytes);
}

int cuMemFree_v2(unsigned long long pointer)
{
    static release *real;
    if (real == NULL)
        real = (release *)next("cuMemFree_v2");
    frees++;
    return real(pointer);
}

/* What stands here for a name, or NULL. */
static void *mine(const char *name)
{
    if (strcmp(name, "cuMemAlloc_v2") == 0)
        return (void *)cuMemAlloc_v2;
    if (strcmp(name, "cuMemFree_v2") == 0)
        return (void *)cuMemFree_v2;
    return strcmp(name, "cuGetProcAddress_v2") == 0 ? (void *)cuGetProcAddress_v2 : NULL;
}

int cuGetProcAddress_v2(const char *name, void **found, int version, unsigned long long flags,
                        void *status)
{
    static get_address *real;
    if (real == NULL)
        real = (get_address *)next("cuGetProcAddress_v2");
    int result = real(name, found, version, flags, status);
    if (result == 0 && found != NULL && *found != NULL && version >= 3020) {
        if (strcmp(name, "cuMemAlloc") == 0)
            *found = (void *)cuMemAlloc_v2;
        if (strcmp(name, "cuMemFree") == 0)
            *found = (void *)cuMemFree_v2;
    }
    return result;
}

void *dlsym(void *handle, const char *name)
{
    void *substitute = handle == RTLD_NEXT ? NULL : mine(name);
    if (substitute != NULL && real_dlsym()(handle, name) != NULL)
        return substitute;
    return real_dlsym()(handle, name);
}

__attribute__((destructor)) static void tell(void)
{
    if (getenv("LOG_SILENT") == NULL)
        printf("logged %d allocations, %d frees\n", allocations, frees);
}
