/* Gets a SIGUSR1 before it has touched CUDA, then uses CUDA and waits to be told to end. */
#include "rt.h"

#include <signal.h>

int main(void)
{
    char line[8];
    OK(raise(SIGUSR1));
    printf("alive\n");
    OK(cudaFree(rt_alloc(64 * MIB)));
    printf("ready\n");
    fflush(stdout);
    EXPECT(read(0, line, sizeof line) >= 0);
    return 0;
}
