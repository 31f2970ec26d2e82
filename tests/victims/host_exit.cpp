// Ends in the way that the argument names, with objects and handlers that free device memory as they
// go: those from before CUDA is first used come after the driver's own, the others before. Whether
// such a free still succeeds is the driver's business; that the process ends is ours.
#include "rt.h"

#include <signal.h>

/* Set where `exit` may have interrupted CUDA, which nothing says can be used then. */
static bool interrupted;

static void use(const char *who, void *held)
{
    void *more = nullptr;
    if (interrupted)
        return;
    cudaFree(held);
    if (cudaMalloc(&more, MIB) == cudaSuccess)
        cudaFree(more);
    printf("%s\n", who);
    fflush(stdout);
}

struct Block {
    const char *name;
    void *pointer = nullptr;
    explicit Block(const char *given) : name(given) {}
    ~Block() { use(name, pointer); }
};

static Block first("destructor of an object from before");
static void handler_before() { use("atexit handler from before", nullptr); }
static void handler_after() { use("atexit handler from after", nullptr); }
static void quick_before() { use("at_quick_exit handler from before", nullptr); }
static void quick_after() { use("at_quick_exit handler from after", nullptr); }

static void terminate(int)
{
    interrupted = true;
    exit(7);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2);
    const char *how = argv[1];
    OK(atexit(handler_before));
    OK(at_quick_exit(quick_before));

    first.pointer = rt_alloc(MIB);
    static Block second("destructor of an object from after");
    second.pointer = rt_alloc(MIB);
    OK(atexit(handler_after));
    OK(at_quick_exit(quick_after));
    OK(cudaFree(rt_alloc(16 * MIB)));
    printf("%s\n", how);
    fflush(stdout);

    if (strcmp(how, "exit") == 0)
        exit(3);
    if (strcmp(how, "_exit") == 0)
        _exit(3);
    if (strcmp(how, "quick_exit") == 0)
        quick_exit(3);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "SIGTERM") == 0)
        raise(SIGTERM);
    if (strcmp(how, "handled SIGTERM") == 0) {
        // It may come in the middle of an allocation, and then `exit` runs under it.
        EXPECT(signal(SIGTERM, terminate) != SIG_ERR);
        alarm(20);
        printf("running\n");
        fflush(stdout);
        for (;;)
            OK(cudaFree(rt_alloc(MIB)));
    }
    return 3;
}
