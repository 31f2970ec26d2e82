/* A kernel faults, and the program hears of it by one call, named on the command line; then it asks
 * for everything else. Natively each call reports the fault, and the runtime's last error is what the
 * last call said. */
#include "rt.h"

#include <cuda.h>

/* Whether the call reports a fault, whichever code the driver has for it. */
#define TELL(call)                                                                               \
    do {                                                                                         \
        cudaError_t result_ = (cudaError_t)(call);                                               \
        printf("%s %s", #call, result_ == cudaSuccess ? "succeeds" : "fails");                   \
        if (result_ != cudaSuccess)                                                              \
            printf(result_ == fault ? " of the fault" : " otherwise (%d)", (int)result_);        \
        puts("");                                                                                \
    } while (0)

static cudaError_t fault;

static cudaError_t hear(const char *how, cudaStream_t stream, cudaEvent_t event, void *block)
{
    unsigned word = 0;
    if (strcmp(how, "device") == 0)
        return cudaDeviceSynchronize();
    if (strcmp(how, "stream") == 0)
        return cudaStreamSynchronize(stream);
    if (strcmp(how, "event") == 0)
        return cudaEventSynchronize(event);
    if (strcmp(how, "copy") == 0)
        return cudaMemcpy(&word, block, 4, cudaMemcpyDeviceToHost);
    /* Without waiting, until it is there to be seen. */
    for (;;) {
        cudaError_t result =
            strcmp(how, "query") == 0 ? cudaStreamQuery(stream) : cudaEventQuery(event);
        if (result != cudaSuccess && result != cudaErrorNotReady)
            return result;
    }
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "device";
    void *blocks[4], *more = NULL;
    size_t available, total;
    unsigned word = 0;
    cudaEvent_t event;
    cudaStream_t stream;

    /* A blocking stream: what the default stream does comes after it. */
    OK(cudaStreamCreate(&stream));
    OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    for (int i = 0; i < 4; i++)
        blocks[i] = rt_alloc(MIB);
    /* What would be handed out again. */
    OK(cudaFree(blocks[3]));
    OK(cudaDeviceSynchronize());
    OK(k_fault(stream));
    OK(cudaEventRecord(event, stream));
    fault = hear(how, stream, event, blocks[0]);
    EXPECT(fault != cudaSuccess);
    printf("heard by %s\n", how);

    TELL(cudaMalloc(&more, MIB));
    printf("%s\n", more == NULL ? "nothing" : "something");
    TELL(cudaPeekAtLastError());
    TELL(cudaFree(blocks[1]));
    TELL(cudaFree(blocks[1]));
    TELL(cudaMalloc(&more, 64 * MIB));
    TELL(cudaMalloc(&more, 100));
    TELL(cudaMemcpy(&word, blocks[0], 4, cudaMemcpyDeviceToHost));
    TELL(cudaMemGetInfo(&available, &total));
    TELL(cudaEventQuery(event));
    TELL(cudaStreamSynchronize(stream));
    TELL(cudaDeviceSynchronize());
    TELL(cudaFree(blocks[2]));
    TELL(cudaGetLastError());
    TELL(cudaPeekAtLastError());

    /* A reset is the one way on, if there is one: some drivers leave the process without a device. */
    OK(cudaDeviceReset());
    unsigned *sound, *again;
    cudaError_t result = cudaMalloc((void **)&sound, MIB);
    printf("after the reset: %d\n", (int)result);
    if (result != cudaSuccess)
        return 0;
    OK(cudaMemset(sound, 7, MIB));
    printf("after the reset: %u wrong words\n", rt_mismatches(sound, MIB / 4, 0x07070707));
    OK(cudaFree(sound));
    OK(cudaMalloc((void **)&again, MIB));
    OK(cudaFree(again));
    return 0;
}
