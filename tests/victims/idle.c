/* Never touches CUDA; prints what a process can see of itself: threads, descriptors, signal
 * dispositions, environment. */
#include "victim.h"

#include <dirent.h>
#include <signal.h>

static int entries(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    EXPECT(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

int main(void)
{
    struct sigaction action;
    printf("threads %d, descriptors %d\n", entries("/proc/self/task"), entries("/proc/self/fd"));
    for (int signal = 1; signal < 32; signal++) {
        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            printf("signal %d is not at its default\n", signal);
    }
    sigset_t blocked;
    OK(sigprocmask(SIG_SETMASK, NULL, &blocked));
    for (int signal = 1; signal < 32; signal++) {
        if (sigismember(&blocked, signal))
            printf("signal %d is blocked\n", signal);
    }
    return 0;
}
