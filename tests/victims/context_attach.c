/* Attaches to a context that it has created: the context ends with the second detach, or at once
 * with its destruction. Then again, since a new context may have the handle of one that ended. */
#include "drv.h"

CUresult cuCtxAttach(CUcontext *context, unsigned int flags);
CUresult cuCtxDetach(CUcontext context);

static void rounds(const char *when)
{
    for (int round = 0; round < 4; round++) {
        CUdeviceptr p;
        unsigned word = 0;
        OK(cuMemAlloc(&p, MIB));
        OK(cuMemsetD32(p, 7, MIB / 4));
        OK(cuMemcpyDtoH(&word, p, sizeof word));
        EXPECT(word == 7);
        OK(cuMemFree(p));
    }
    printf("%s: four rounds\n", when);
}

int main(void)
{
    for (int round = 0; round < 4; round++) {
        CUcontext context = drv_context(), same = NULL;
        CUdeviceptr held;
        OK(cuMemAlloc(&held, MIB));
        rounds("created");
        OK(cuCtxAttach(&same, 0));
        EXPECT(same == context);
        rounds("attached");
        OK(cuCtxDetach(context));
        rounds("detached once");
        OK(cuMemFree(held));
        if (round % 2 == 0) {
            OK(cuCtxDetach(context));
        } else {
            OK(cuCtxAttach(&same, 0));
            OK(cuCtxDestroy(context));
        }
        SHOW(cuMemAlloc(&held, MIB));
    }
    return 0;
}
