/* Allocates and frees where CUDA does not permit its functions to be called: in a host function and
 * in a stream callback. What they say there is the driver's answer; what was allocated before can
 * be freed after. */
#include "drv.h"

static CUdeviceptr kept;
static CUcontext context;

static void show(const char *where)
{
    CUdeviceptr p = 0;
    CUcontext current = NULL;
    size_t free_bytes = 0, total = 0;
    int allocated = (int)cuMemAlloc(&p, MIB);
    printf("%s: alloc %d, free %d, info %d, ", where, allocated, (int)cuMemFree(kept),
           (int)cuMemGetInfo(&free_bytes, &total));
    printf("current %d, set %d\n", (int)cuCtxGetCurrent(&current), (int)cuCtxSetCurrent(context));
    fflush(stdout);
}

static void function(void *unused)
{
    (void)unused;
    show("host function");
}

static void callback(CUstream stream, CUresult status, void *unused)
{
    (void)stream;
    (void)status;
    (void)unused;
    show("callback");
}

int main(void)
{
    CUdeviceptr p;
    context = drv_context();
    OK(cuMemAlloc(&kept, MIB));
    OK(cuMemAlloc(&p, MIB));
    OK(cuMemFree(p));
    OK(cuLaunchHostFunc(NULL, function, NULL));
    OK(cuCtxSynchronize());
    OK(cuStreamAddCallback(NULL, callback, NULL, 0));
    OK(cuCtxSynchronize());
    printf("after: alloc %d, ", (int)cuMemAlloc(&p, MIB));
    printf("free %d, ", (int)cuMemFree(p));
    printf("free the other %d\n", (int)cuMemFree(kept));
    return 0;
}
