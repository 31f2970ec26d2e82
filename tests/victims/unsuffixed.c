/* libcuda still exports the 32-bit interface of CUDA 3.1 under the plain names cuMemAlloc and
 * cuMemFree. It writes four bytes where today's cuMemAlloc_v2 writes eight: whoever takes one
 * for the other overwrites what lies behind the caller's variable. */
#include "victim.h"

#include <dlfcn.h>

int main(void)
{
    struct {
        unsigned pointer, guard;
    } out = {0, 0xfeedf00d};
    void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context;
    EXPECT(driver != NULL);
    int (*init)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
    int (*create)(void **, unsigned, int) =
        (int (*)(void **, unsigned, int))dlsym(driver, "cuCtxCreate_v2");
    int (*alloc)(unsigned *, unsigned) = (int (*)(unsigned *, unsigned))dlsym(driver, "cuMemAlloc");
    int (*release)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuMemFree");
    EXPECT(init && create && alloc && release);
    OK(init(0));
    OK(create(&context, 0, 0));
    for (int round = 0; round < 10; round++) {
        int result = alloc(&out.pointer, 4096);
        printf("cuMemAlloc = %d, guard %s\n", result, out.guard == 0xfeedf00d ? "intact" : "hit");
        if (result == 0)
            SHOW(release(out.pointer));
    }
    return 0;
}
