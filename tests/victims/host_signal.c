/* Wants SIGUSR1 for itself, in the way that the first argument names: `sigaction`, `signal`,
 * `sigwait`, `sigtimedwait`, `signalfd`, or `blocked` for not at all. The second says whether that
 * begins `before` or `after` CUDA is first used. Tells how often it heard the signal when a line
 * comes in, then needs more memory than is left beside what it has freed. */
#include "rt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>

static const char *way;
static atomic_int heard;

static int by(const char *name) { return strcmp(way, name) == 0; }

static void handler(int number)
{
    EXPECT(number == SIGUSR1);
    heard++;
}

static void informed(int number, siginfo_t *info, void *context)
{
    EXPECT(number == SIGUSR1 && info->si_signo == SIGUSR1 && context != NULL);
    heard++;
}

static void *listen(void *unused)
{
    sigset_t set;
    (void)unused;
    OK(sigemptyset(&set));
    OK(sigaddset(&set, SIGUSR1));
    int descriptor = by("signalfd") ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
    for (;;) {
        int number = 0;
        siginfo_t info;
        struct signalfd_siginfo read_info;
        struct timespec second = {1, 0};
        if (by("sigwait")) {
            OK(sigwait(&set, &number));
        } else if (by("sigtimedwait")) {
            number = sigtimedwait(&set, &info, &second);
            EXPECT(number == SIGUSR1 || errno == EAGAIN || errno == EINTR);
        } else {
            EXPECT(read(descriptor, &read_info, sizeof read_info) == sizeof read_info);
            number = (int)read_info.ssi_signo;
        }
        if (number == SIGUSR1)
            heard++;
    }
    return NULL;
}

static void take(void)
{
    if (by("sigaction")) {
        struct sigaction action = {0}, found;
        action.sa_sigaction = informed;
        action.sa_flags = SA_SIGINFO | SA_RESTART;
        OK(sigaction(SIGUSR1, &action, NULL));
        OK(sigaction(SIGUSR1, NULL, &found));
        EXPECT(found.sa_sigaction == informed && (found.sa_flags & SA_SIGINFO));
    } else if (by("signal")) {
        printf("before mine: %s\n", signal(SIGUSR1, handler) == SIG_DFL ? "default" : "another");
        EXPECT(signal(SIGUSR1, handler) == handler);
    } else {
        sigset_t set;
        pthread_t thread;
        OK(sigemptyset(&set));
        OK(sigaddset(&set, SIGUSR1));
        /* In the one thread that there is, so in all that it starts. */
        OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
        if (!by("blocked"))
            OK(pthread_create(&thread, NULL, listen, NULL));
    }
}

int main(int argc, char **argv)
{
    char line[8];
    EXPECT(argc == 3);
    way = argv[1];
    if (strcmp(argv[2], "before") == 0)
        take();
    unsigned *first = rt_alloc(600 * MIB);
    OK(cudaFree(first));
    if (strcmp(argv[2], "after") == 0)
        take();
    printf("ready\n");
    fflush(stdout);
    while (read(0, line, sizeof line) > 0) {
        printf("heard %d\n", (int)heard);
        fflush(stdout);
    }
    OK(cudaFree(rt_alloc(700 * MIB)));
    return 0;
}
