/* Every odd way of asking cuGetProcAddress, in its 11.3 form and as _v2, found by dlsym and by
 * itself: what it answers, and that an allocator found through it works. */
#include "victim.h"

#include <dlfcn.h>

typedef int (*get_v1)(const char *, void **, int, uint64_t);
typedef int (*get_v2)(const char *, void **, int, uint64_t, int *);
typedef int (*alloc_fn)(unsigned long long *, size_t);
typedef int (*free_fn)(unsigned long long);

enum { DEFAULT = 0, LEGACY_STREAM = 1, PER_THREAD_STREAM = 2 };

static void pair(const char *how, void *alloc, void *release)
{
    unsigned long long p = 0;
    EXPECT(alloc != NULL && release != NULL);
    OK(((alloc_fn)alloc)(&p, MIB));
    EXPECT(p != 0);
    OK(((free_fn)release)(p));
    printf("%s: works\n", how);
}

static void by_v1(const char *how, get_v1 get)
{
    void *alloc = NULL, *release = NULL, *unknown = (void *)1;
    printf("%s: unknown name %d\n", how, get("cuNoSuchThing", &unknown, 12000, DEFAULT));
    printf("%s: empty name %d\n", how, get("", &unknown, 12000, DEFAULT));
    for (int flags = DEFAULT; flags <= PER_THREAD_STREAM; flags++) {
        OK(get("cuMemAlloc", &alloc, 3020, flags));
        OK(get("cuMemFree", &release, 12000, flags));
        pair(how, alloc, release);
    }
}

static void by_v2(const char *how, get_v2 get)
{
    void *alloc = NULL, *release = NULL, *other = (void *)1;
    int status = -1;
    printf("%s: empty name %d\n", how, get("", &other, 12000, DEFAULT, &status));
    /* NVIDIA's driver writes to it all the same (580). */
    if (!getenv("VICTIM_REAL_DRIVER"))
        printf("%s: NULL pfn %d\n", how, get("cuMemAlloc", NULL, 12000, DEFAULT, &status));
    status = -1;
    printf("%s: unknown name %d", how, get("cuNoSuchThing", &other, 12000, DEFAULT, &status));
    printf(", status %d, pfn %s\n", status, other ? "kept" : "NULL");
    printf("%s: unknown name, NULL status %d\n", how,
           get("cuNoSuchThing", &other, 12000, DEFAULT, NULL));
    status = -1;
    printf("%s: too old a version %d", how, get("cuMemAllocAsync", &other, 3020, DEFAULT, &status));
    printf(", status %d\n", status);
    static const int versions[] = {3020, 11030, 12000, 13000};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        for (int flags = DEFAULT; flags <= PER_THREAD_STREAM; flags++) {
            char label[80];
            snprintf(label, sizeof label, "%s, version %d, flags %d", how, versions[i], flags);
            status = -1;
            OK(get("cuMemAlloc", &alloc, versions[i], flags, i % 2 ? NULL : &status));
            OK(get("cuMemFree", &release, versions[i], flags, NULL));
            EXPECT(i % 2 || status == 0);
            pair(label, alloc, release);
        }
    }
}

int main(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context, *self = NULL;
    EXPECT(driver != NULL);
    int (*init)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
    int (*create)(void **, unsigned, int) =
        (int (*)(void **, unsigned, int))dlsym(driver, "cuCtxCreate_v2");
    get_v1 v1 = (get_v1)dlsym(driver, "cuGetProcAddress");
    get_v2 v2 = (get_v2)dlsym(driver, "cuGetProcAddress_v2");
    EXPECT(init && create && v1 && v2);
    OK(init(0));
    OK(create(&context, 0, 0));

    by_v1("v1 by dlsym", v1);
    by_v2("v2 by dlsym", v2);
    OK(v1("cuGetProcAddress", &self, 11030, DEFAULT));
    by_v1("v1 by v1", (get_v1)self);
    OK(v1("cuGetProcAddress", &self, 12000, DEFAULT));
    by_v2("v2 by v1", (get_v2)self);
    OK(v2("cuGetProcAddress", &self, 11030, DEFAULT, NULL));
    by_v1("v1 by v2", (get_v1)self);
    OK(v2("cuGetProcAddress", &self, 12000, DEFAULT, NULL));
    by_v2("v2 by v2", (get_v2)self);
    return 0;
}
