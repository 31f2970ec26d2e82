/* Has a SIGUSR1 handler of its own, installed before or after CUDA is first used; both it and
 * whoever else listens must hear the signal, and the program must see its own handler as the one
 * installed. */
#include "rt.h"

#include <signal.h>

static volatile sig_atomic_t heard;

static void handler(int signal)
{
    (void)signal;
    heard++;
}

static void install(void)
{
    struct sigaction action = {0}, found;
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    OK(sigaction(SIGUSR1, &action, NULL));
    OK(sigaction(SIGUSR1, NULL, &found));
    printf("my handler is %s\n", found.sa_handler == handler ? "installed" : "not installed");
}

int main(int argc, char **argv)
{
    char line[8];
    int late = argc > 1 && strcmp(argv[1], "late") == 0;
    if (!late)
        install();
    OK(cudaFree(rt_alloc(64 * MIB)));
    if (late)
        install();
    printf("ready\n");
    fflush(stdout);
    EXPECT(read(0, line, sizeof line) > 0);
    printf("heard %d\n", (int)heard);
    return 0;
}
