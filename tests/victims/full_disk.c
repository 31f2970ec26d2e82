/* Asks for stats files on a disk that is full for a while, played by a limit on the size of files. */
#include "rt.h"

#include <signal.h>
#include <sys/resource.h>

#include "cupool.h"

#pragma weak cupool_stats_dump
#pragma weak cupool_get_stats

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    OK(getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    OK(setrlimit(RLIMIT_FSIZE, &limit));
}

static int failures(void)
{
    struct cupool_stats stats;
    OK(cupool_get_stats(&stats, sizeof stats));
    return (int)stats.dump_failures;
}

int main(void)
{
    OK(cudaFree(rt_alloc(MIB)));
    if (!cupool_stats_dump) {
        printf("no cupool\n");
        return 0;
    }
    signal(SIGXFSZ, SIG_IGN);
    limit_files(64);
    for (int i = 0; i < 3; i++)
        EXPECT(cupool_stats_dump(NULL) == -1 && errno == EFBIG);
    printf("dumps fail, %d counted\n", failures());
    limit_files(RLIM_INFINITY);
    OK(cupool_stats_dump(NULL));
    printf("then one succeeds, %d counted\n", failures());
    return 0;
}
