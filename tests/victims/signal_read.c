/* Blocks in read(2) with memory cached; a SIGUSR1 must not end or shorten the read. */
#include "rt.h"

int main(void)
{
    char line[16] = "";
    OK(cudaFree(rt_alloc(64 * MIB)));
    printf("ready\n");
    fflush(stdout);
    ssize_t got = read(0, line, sizeof line - 1);
    printf("read %zd bytes: %s", got, got < 0 ? strerror(errno) : line);
    return 0;
}
