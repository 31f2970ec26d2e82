/* Traces the program that its arguments name, as a debugger of this name would, and lets it run. */
#include "victim.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    int status = 0;
    EXPECT(argc > 1);
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        OK(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
        execv(argv[1], argv + 1);
        _exit(127);
    }
    for (;;) {
        EXPECT(waitpid(child, &status, 0) == child);
        if (!WIFSTOPPED(status))
            break;
        int number = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        OK(ptrace(PTRACE_CONT, child, NULL, number));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
