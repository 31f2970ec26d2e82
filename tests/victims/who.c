/* Prints which object supplies each symbol, by every way of obtaining it (dladdr). */
#include "drv.h"

#include <dlfcn.h>

static void *driver;
static CUresult (*get)(const char *, void **, int, uint64_t, int *);

static void supplier(const char *how, const char *name, void *address)
{
    Dl_info info = {0};
    const char *file = "nothing";
    if (address != NULL && dladdr(address, &info) && info.dli_fname) {
        const char *slash = strrchr(info.dli_fname, '/');
        file = slash ? slash + 1 : info.dli_fname;
    }
    printf("%s %s %s\n", how, name, file);
}

static void all_ways(const char *name, const char *query)
{
    void *pointer = NULL;
    supplier("handle", name, dlsym(driver, name));
    supplier("default", name, dlsym(RTLD_DEFAULT, name));
    supplier("next", name, dlsym(RTLD_NEXT, name));
    if (query != NULL) {
        get(query, &pointer, 12000, 0, NULL);
        supplier("query", query, pointer);
    }
}

int main(void)
{
    drv_context();
    driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    EXPECT(driver != NULL);
    *(void **)&get = dlsym(driver, "cuGetProcAddress_v2");
    EXPECT(get != NULL);

    supplier("linked", "cuMemAlloc_v2", (void *)cuMemAlloc);
    supplier("linked", "cuMemFree_v2", (void *)cuMemFree);
    supplier("linked", "cuDeviceGetCount", (void *)cuDeviceGetCount);
    all_ways("cuMemAlloc_v2", "cuMemAlloc");
    all_ways("cuMemFree_v2", "cuMemFree");
    all_ways("cuMemAlloc", NULL);
    all_ways("cuMemFree", NULL);
    all_ways("cuDeviceGetCount", "cuDeviceGetCount");
    supplier("default", "malloc", dlsym(RTLD_DEFAULT, "malloc"));
    supplier("default", "dlopen", dlsym(RTLD_DEFAULT, "dlopen"));
    return 0;
}
