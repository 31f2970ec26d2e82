/* Starts itself as a child in every way that does not end in a plain fork: each child uses CUDA, and
 * so does the parent in between. Children may do so only after exec. */
#include "rt.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static void work(const char *who)
{
    for (int round = 0; round < 10; round++) {
        unsigned *p = rt_alloc(MIB), word = 0;
        OK(k_fill(p, MIB / 4, (unsigned)round, 0, NULL));
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
    EXPECT(child > 0 && waitpid(child, &status, 0) == child);
    printf("status %#x\n", (unsigned)status);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        work(argv[1]);
        return 5;
    }
    char self[4096] = "", command[4200];
    pid_t child;
    char *arguments[] = {argv[0], "spawned", NULL};
    EXPECT(readlink("/proc/self/exe", self, sizeof self - 1) > 0);

    work("parent");
    OK(posix_spawn(&child, self, NULL, NULL, arguments, environ));
    reap(child);
    work("parent");
    child = vfork();
    if (child == 0) {
        execl(self, argv[0], "after vfork", (char *)NULL);
        _exit(127);
    }
    reap(child);
    work("parent");
    child = vfork();
    if (child == 0)
        _exit(6);
    reap(child);
    snprintf(command, sizeof command, "'%s' \"of a shell\"", self);
    printf("system: %#x\n", (unsigned)system(command));
    work("parent");
    return 0;
}
