/* A context that no thread owns is handed from thread to thread: each makes it current, allocates,
 * frees what the one before allocated while that one's work may still use it, and lets go of it. On
 * every device, with two contexts on each. */
#include "drv.h"

#include <pthread.h>

enum { DEVICES = 2, CONTEXTS = 2, THREADS = 4, WORDS = 1 << 18 };

struct floating {
    CUcontext context;
    CUdeviceptr block, count;
    CUstream stream;
};

static struct floating all[DEVICES * CONTEXTS];
static int used;

/* Works in each of the contexts in turn. */
static void *turn(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    for (int i = 0; i < used; i++) {
        struct floating *one = &all[i];
        CUcontext popped = NULL;
        CUdeviceptr next;
        OK(cuCtxPushCurrent(one->context));
        /* The block of the thread before is still read. */
        unsigned long long pointer = one->block, words = WORDS, count = one->count;
        long long delay = 20000;
        unsigned expect = number - 1;
        void *arguments[] = {&pointer, &words, &expect, &count, &delay};
        CUmodule module;
        CUfunction check, fill;
        OK(cuModuleLoad(&module, getenv("VICTIM_KERNELS")));
        OK(cuModuleGetFunction(&check, module, "check"));
        OK(cuModuleGetFunction(&fill, module, "fill"));
        OK(cuLaunchKernel(check, 64, 1, 1, 256, 1, 1, 0, one->stream, arguments, NULL));
        OK(cuMemFree(one->block));
        OK(cuMemAlloc(&next, WORDS * 4));
        pointer = next;
        delay = 0;
        void *others[] = {&pointer, &words, &number, &delay};
        OK(cuLaunchKernel(fill, 64, 1, 1, 256, 1, 1, 0, one->stream, others, NULL));
        one->block = next;
        OK(cuCtxPopCurrent(&popped));
        EXPECT(popped == one->context);
    }
    CUcontext current = (CUcontext)(uintptr_t)1;
    OK(cuCtxGetCurrent(&current));
    EXPECT(current == NULL);
    return NULL;
}

int main(void)
{
    int devices = 0;
    OK(cuInit(0));
    OK(cuDeviceGetCount(&devices));
    for (int device = 0; device < devices && device < DEVICES; device++) {
        for (int i = 0; i < CONTEXTS; i++) {
            struct floating *one = &all[used++];
            OK(cuCtxCreate_v2(&one->context, 0, device));
            OK(cuStreamCreate(&one->stream, CU_STREAM_NON_BLOCKING));
            OK(cuMemAlloc(&one->block, WORDS * 4));
            OK(cuMemAlloc(&one->count, 4));
            OK(cuMemsetD32(one->block, 0, WORDS));
            OK(cuMemsetD32(one->count, 0, 1));
            OK(cuCtxSynchronize());
            OK(cuCtxPopCurrent(NULL));
        }
    }
    for (uintptr_t number = 1; number <= THREADS; number++) {
        pthread_t thread;
        OK(pthread_create(&thread, NULL, turn, (void *)number));
        OK(pthread_join(thread, NULL));
    }
    for (int i = 0; i < used; i++) {
        unsigned wrong = 0, last = 0;
        int ordinal = -1;
        OK(cuCtxPushCurrent(all[i].context));
        OK(cuCtxSynchronize());
        OK(cuMemcpyDtoH(&wrong, all[i].count, 4));
        OK(cuMemcpyDtoH(&last, all[i].block + WORDS * 2, 4));
        OK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, all[i].block));
        EXPECT(ordinal == i / CONTEXTS);
        printf("%s context: %u wrong words, then %u\n", i % CONTEXTS ? "second" : "first", wrong,
               last);
        OK(cuMemFree(all[i].block));
        OK(cuMemFree(all[i].count));
        OK(cuCtxDestroy(all[i].context));
    }
    return 0;
}
