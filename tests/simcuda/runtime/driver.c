/* Finds the driver the way NVIDIA's runtime does. */
#define _GNU_SOURCE
#include "internal.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

struct driver driver;

static void *handle;

/* Asks the driver for a function; NULL if it has none. */
static void *ask(const char *name, int version, cuuint64_t flags) {
    void *function = NULL;
    CUdriverProcAddressQueryResult status;
    if (driver.get_proc_address_v2) {
        if (driver.get_proc_address_v2(name, &function, version, flags, &status) != CUDA_SUCCESS)
            return NULL;
    } else if (driver.get_proc_address) {
        if (driver.get_proc_address(name, &function, version, flags) != CUDA_SUCCESS)
            return NULL;
    } else {
        /* Before 11.3: by symbol, the newest first. */
        char symbol[128];
        snprintf(symbol, sizeof symbol, "%s_v2", name);
        function = version > 2000 ? dlsym(handle, symbol) : NULL;
        if (!function)
            function = dlsym(handle, name);
    }
    return function;
}

static cudaError_t result = cudaErrorInsufficientDriver;

static void load(void) {
    handle = dlopen("libcuda.so.1", RTLD_NOW);
    if (!handle)
        return;
    *(void **)&driver.get_proc_address_v2 = dlsym(handle, "cuGetProcAddress_v2");
    if (!driver.get_proc_address_v2)
        *(void **)&driver.get_proc_address = dlsym(handle, "cuGetProcAddress");

    /* NVIDIA's runtime asks these too, and uses what the last ones give. */
    ask("", 0, 0);
    void *again = ask("cuGetProcAddress", 11030, 0);
    if (again)
        *(void **)&driver.get_proc_address = again;
    again = driver.get_proc_address_v2 ? ask("cuGetProcAddress", 12000, 0) : NULL;
    if (again)
        *(void **)&driver.get_proc_address_v2 = again;

#define ASK(name, version, parameters) *(void **)&driver.name = ask("cu" #name, version, 0);
    DRIVER_FUNCTIONS(ASK)
#undef ASK
    ask("cuMemAllocAsync", 11020, 2);

    if (driver.Init)
        result = (cudaError_t)driver.Init(0);
}

cudaError_t load_driver(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return result;
}
