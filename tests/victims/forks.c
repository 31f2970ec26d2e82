/* Forks after CUDA is in use: children that do nothing, that exit by way of atexit handlers, and
 * that exec a program which uses CUDA itself. The parent goes on unharmed each time. */
#include "rt.h"

#include <sys/wait.h>

static void work(const char *who)
{
    for (int round = 0; round < 10; round++) {
        unsigned *p = rt_alloc(MIB), word = 0;
        OK(k_fill(p, MIB / 4, round, 0, NULL));
        OK(cudaMemcpy(&word, p, 4, cudaMemcpyDeviceToHost));
        EXPECT(word == (unsigned)round);
        OK(cudaFree(p));
    }
    printf("%s worked\n", who);
    fflush(stdout);
}

static void reap(pid_t child)
{
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child);
    printf("child: %s %d\n", WIFEXITED(status) ? "exit" : "signal",
           WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        work(argv[1]);
        return 0;
    }
    work("parent");
    for (int how = 0; how < 3; how++) {
        pid_t child = fork();
        EXPECT(child >= 0);
        if (child == 0) {
            if (how == 0)
                _exit(3);
            if (how == 1)
                exit(4);
            execl("/proc/self/exe", argv[0], "exec'd child", (char *)NULL);
            _exit(127);
        }
        reap(child);
        work("parent");
    }
    return 0;
}
