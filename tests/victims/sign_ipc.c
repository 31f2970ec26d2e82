/* Shares a block with a second process through a legacy CUDA IPC handle. A late kernel writes
 * the block; the program frees something else, and only then tells the other process to look.
 * Where handles cannot be opened, the other process says so and looks at nothing. */
#include "rt.h"

#include <sys/wait.h>

static int reader(int in, int out)
{
    cudaIpcMemHandle_t handle;
    unsigned *p = NULL;
    char go;
    EXPECT(read(in, &handle, sizeof handle) == (ssize_t)sizeof handle);
    cudaError_t opened =
        cudaIpcOpenMemHandle((void **)&p, handle, cudaIpcMemLazyEnablePeerAccess);
    if (opened != cudaSuccess)
        printf("the other process cannot open it: %d\n", (int)opened);
    for (int round = 0; round < 2; round++) {
        unsigned word = 0;
        EXPECT(write(out, "r", 1) == 1 && read(in, &go, 1) == 1);
        if (opened != cudaSuccess)
            continue;
        OK(cudaMemcpy(&word, p + 1000, 4, cudaMemcpyDeviceToHost));
        printf("the other process reads %u\n", word);
        fflush(stdout);
    }
    if (opened == cudaSuccess)
        OK(cudaIpcCloseMemHandle(p));
    return 0;
}

int main(int argc, char **argv)
{
    int to[2], from[2], status = 0;
    if (argc == 3)
        return reader(atoi(argv[1]), atoi(argv[2]));

    OK(pipe(to));
    OK(pipe(from));
    pid_t child = fork(); /* before CUDA, so that it starts with nothing of ours */
    if (child == 0) {
        char in[16], out[16];
        snprintf(in, sizeof in, "%d", to[0]);
        snprintf(out, sizeof out, "%d", from[1]);
        execl("/proc/self/exe", argv[0], in, out, (char *)NULL);
        _exit(127);
    }
    cudaStream_t stream = rt_stream();
    unsigned *p = rt_alloc(2 * MIB);
    cudaIpcMemHandle_t handle;
    OK(cudaMemset(p, 0, 2 * MIB));
    OK(cudaDeviceSynchronize());
    OK(cudaIpcGetMemHandle(&handle, p));
    EXPECT(write(to[1], &handle, sizeof handle) == (ssize_t)sizeof handle);
    for (unsigned round = 1; round <= 2; round++) {
        unsigned *other = rt_alloc(MIB);
        char ready;
        EXPECT(read(from[0], &ready, 1) == 1);
        OK(k_fill(p, MIB / 2, round, LATE, stream));
        OK(cudaFree(other));
        EXPECT(write(to[1], "g", 1) == 1);
    }
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    OK(cudaFree(p));
    return 0;
}
