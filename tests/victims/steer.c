/* Holds 64 MiB, has 128 MiB more that it has freed, and for each line of input allocates and frees
 * a thousand times. Tells when a SIGUSR1 reaches a handler of its own. */
#include "rt.h"

#include <signal.h>

static volatile sig_atomic_t heard;

static void hear(int signal)
{
    (void)signal;
    heard++;
}

int main(int argc, char **argv)
{
    char line[16];
    if (argc > 1 && strcmp(argv[1], "own") == 0) {
        struct sigaction action = {.sa_handler = hear, .sa_flags = SA_RESTART};
        OK(sigaction(SIGUSR1, &action, NULL));
    }
    unsigned *kept = rt_alloc(64 * MIB), *freed = rt_alloc(128 * MIB);
    OK(cudaFree(freed));
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        for (int i = 0; i < 1000; i++)
            OK(cudaFree(rt_alloc(MIB)));
        printf("worked, heard %d\n", (int)heard);
        fflush(stdout);
    }
    OK(cudaFree(kept));
    return 0;
}
