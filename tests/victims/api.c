/* Every function of cupool.h at every time of a process: before CUDA is in use, with a context, after
 * its end, in a forked child. Without cupool the same program, which finds none of them. */
#include "drv.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cupool.h"

#pragma weak empty_cache
#pragma weak cupool_empty_cache
#pragma weak cupool_stats_dump
#pragma weak cupool_get_stats
#pragma weak cupool_reset_peak_stats
#pragma weak cupool_version

static const char *dump(const char *path)
{
    errno = 0;
    if (cupool_stats_dump(path) == 0)
        return "written";
    return errno == ENOTCONN ? "ENOTCONN"
         : errno == ENOENT ? "ENOENT"
         : errno == EINVAL ? "EINVAL"
         : errno == EPERM ? "EPERM"
         : errno == ENAMETOOLONG ? "ENAMETOOLONG"
         : errno == EISDIR ? "EISDIR"
         : errno == ENOTDIR ? "ENOTDIR" : strerror(errno);
}

static void all(const char *when, const char *path)
{
    struct cupool_stats stats;
    printf("%s: given back %s", when, cupool_empty_cache() ? "some" : "none");
    empty_cache();
    EXPECT(cupool_get_stats(&stats, sizeof stats) == 0);
    EXPECT(stats.size == sizeof stats);
    EXPECT(stats.reserved_bytes == stats.allocated_bytes + stats.idle_bytes);
    printf(", active %d, pools %d, blocks %d of %d", (int)stats.active, (int)stats.pools,
           (int)stats.allocations, (int)stats.allocations_total);
    cupool_reset_peak_stats();
    EXPECT(cupool_get_stats(&stats, sizeof stats) == 0);
    EXPECT(stats.requested_bytes_peak == stats.requested_bytes);
    printf(", dump %s, to the configured place %s\n", dump(path), dump(NULL));
    EXPECT(strchr(cupool_version(), '.'));
}

/* As an older or a newer header would have it: nothing beyond `size` is written, and what is not
 * known is zero. */
static void sizes(void)
{
    struct cupool_stats whole;
    unsigned char some[sizeof whole + 64];
    EXPECT(cupool_get_stats(&whole, sizeof whole) == 0);
    for (size_t size = 0; size <= sizeof some; size++) {
        memset(some, 0xa5, sizeof some);
        EXPECT(cupool_get_stats((struct cupool_stats *)some, size) == 0);
        size_t known = size < sizeof whole ? size : sizeof whole;
        EXPECT(memcmp(some, &whole, known) == 0);
        for (size_t i = known; i < sizeof some; i++)
            EXPECT(some[i] == (i < size ? 0 : 0xa5));
    }
    errno = 0;
    EXPECT(cupool_get_stats(NULL, sizeof whole) == -1 && errno == EINVAL);
    errno = 0;
    EXPECT(cupool_get_stats(NULL, 0) == -1 && errno == EINVAL);
    printf("every size\n");
}

static void paths(void)
{
    static char name[5000];
    memset(name, 'x', sizeof name - 1);
    EXPECT(mkdir("everybodys", 0777) == 0 && chmod("everybodys", 0777) == 0);
    EXPECT(mkdir("directory", 0700) == 0);
    printf("nowhere %s\n", dump("no/such/place.json"));
    printf("below a file %s\n", dump("/dev/null/x.json"));
    printf("in a directory that is everybody's %s\n", dump("everybodys/x.json"));
    printf("over a directory %s\n", dump("directory"));
    printf("with too long a name %s\n", dump(name));
    printf("with a name that is no text %s\n", dump("\xff.json"));
    printf("with no name %s\n", dump(""));
    EXPECT(access("everybodys/x.json", F_OK) == -1);
}

int main(void)
{
    if (!cupool_version) {
        printf("no cupool\n");
        return 0;
    }
    all("before", "before.json");
    sizes();

    CUcontext context;
    CUdeviceptr live, freed;
    OK(cuInit(0));
    all("initialised", "initialised.json");
    OK(cuCtxCreate_v2(&context, 0, 0));
    OK(cuMemAlloc(&live, 4 * MIB));
    OK(cuMemAlloc(&freed, 64 * MIB));
    OK(cuMemFree(freed));
    all("in use", "in-use-%p.json");
    sizes();
    paths();

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        all("in a child", "child.json");
        sizes();
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);

    OK(cuCtxDestroy(context));
    all("after its end", "after.json");
    sizes();
    return 0;
}
