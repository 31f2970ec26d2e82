/* Forks again and again while other threads look functions of the driver up; every child looks one
 * up as well, which must not take for ever. */
#include "victim.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { THREADS = 3, CHILDREN = 300, NAMES = 4 };

static const char *const names[NAMES] = {"cuLaunchHostFunc", "cuMemHostAlloc", "cuStreamQuery",
                                         "cuIpcGetMemHandle"};
static void *driver;
static atomic_int done;

static void *look_up(void *unused)
{
    (void)unused;
    for (unsigned i = 0; !atomic_load(&done); i++)
        EXPECT(dlsym(driver, names[i % NAMES]) != NULL);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    driver = dlopen("libcuda.so.1", RTLD_NOW);
    EXPECT(driver != NULL);
    for (int i = 0; i < THREADS; i++)
        OK(pthread_create(&threads[i], NULL, look_up, NULL));
    for (int i = 0; i < CHILDREN; i++) {
        int status = 0;
        pid_t child = fork();
        EXPECT(child >= 0);
        if (child == 0) {
            alarm(5);
            _exit(dlsym(driver, names[i % NAMES]) == NULL);
        }
        EXPECT(waitpid(child, &status, 0) == child);
        if (status != 0) {
            fprintf(stderr, "child %d: status %#x\n", i, (unsigned)status);
            _exit(1);
        }
    }
    atomic_store(&done, 1);
    for (int i = 0; i < THREADS; i++)
        OK(pthread_join(threads[i], NULL));
    printf("%d children looked up\n", CHILDREN);
    return 0;
}
