/* Has a small stack for some of its signals. The handler of this one needs a large one, and did
 * not ask for the other. */
#include "rt.h"

#include <signal.h>

static char small[16 * KIB];

static void handler(int signal)
{
    volatile char large[256 * KIB];
    char *here = (char *)large;
    (void)signal;
    for (size_t i = 0; i < sizeof large; i += KIB)
        large[i] = 1;
    int inside = here < small + sizeof small && here + sizeof large > small;
    static const char told[] = "heard\n";
    if (!inside && write(1, told, sizeof told - 1) < 0)
        _exit(1);
}

int main(void)
{
    stack_t stack = {.ss_sp = small, .ss_size = sizeof small};
    struct sigaction action = {0};
    OK(sigaltstack(&stack, NULL));
    action.sa_handler = handler;
    OK(sigaction(SIGUSR1, &action, NULL));
    OK(raise(SIGUSR1));
    OK(cudaFree(rt_alloc(MIB)));
    OK(raise(SIGUSR1));
    return 0;
}
