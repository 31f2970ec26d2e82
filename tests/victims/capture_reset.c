/* Resets the device while a stream captures: the capture goes with the context, and what is freed
 * afterwards can be had again. */
#include "rt.h"

int main(void)
{
    size_t available = 0, total = 0;
    OK(cudaMemGetInfo(&available, &total));
    cudaStream_t stream = rt_stream();
    OK(cudaFree(rt_alloc(MIB)));
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    OK(cudaDeviceReset());

    /* Together more than the device has. */
    size_t piece = total / 8;
    for (int i = 0; i < 12; i++)
        OK(cudaFree(rt_alloc(piece)));
    printf("12 eighths\n");
    return 0;
}
