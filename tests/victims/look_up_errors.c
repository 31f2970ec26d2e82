/* Looks up what there is not, and prints what dlerror says about it. */
#include "victim.h"

#include <dlfcn.h>

static void fail(const char *how, void *found)
{
    const char *error = dlerror();
    printf("%s: %s, %s\n", how, found ? "found" : "nothing", error ? error : "no error");
}

int main(void)
{
    void *program = dlopen(NULL, RTLD_NOW), *driver;
    EXPECT(program != NULL);
    /* Before any library that has it is loaded. Which object the text names is not compared. */
    void *found = dlsym(RTLD_DEFAULT, "cuMemAlloc_v2");
    const char *error = dlerror();
    printf("driver not loaded: %s, %s\n", found ? "found" : "nothing",
           error && strstr(error, ": undefined symbol: cuMemAlloc_v2") ? "an error" : "no error");

    driver = dlopen("libcuda.so.1", RTLD_NOW);
    EXPECT(driver != NULL);
    fail("handle", dlsym(driver, "cuMemAlloc_v9"));
    fail("handle, other name", dlsym(driver, "cuNoSuchThing"));
    fail("program", dlsym(program, "cuMemAlloc_v9"));
    fail("default", dlsym(RTLD_DEFAULT, "cuMemAlloc_v9"));
    fail("next", dlsym(RTLD_NEXT, "cuMemAlloc_v9"));
    fail("version", dlvsym(driver, "cuMemAlloc_v2", "NO_SUCH_1.0"));
    fail("version, default", dlvsym(RTLD_DEFAULT, "cuMemAlloc_v9", "NO_SUCH_1.0"));
    return 0;
}
