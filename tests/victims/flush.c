/* A program that knows cupool if it is there: the functions of cupool.h as weak symbols and by
 * dlsym. Without cupool it says so, and is otherwise the same program. */
#include "rt.h"

#include <dlfcn.h>

#include "cupool.h"

#pragma weak empty_cache
#pragma weak cupool_empty_cache
#pragma weak cupool_stats_dump
#pragma weak cupool_get_stats
#pragma weak cupool_reset_peak_stats
#pragma weak cupool_version

static size_t free_memory(void)
{
    size_t available = 0, total = 0;
    OK(cudaMemGetInfo(&available, &total));
    return available;
}

int main(void)
{
    unsigned *live = rt_alloc(MIB), word = 0;
    OK(cudaMemset(live, 7, MIB));
    if (!cupool_version) {
        printf("no cupool\n");
        return 0;
    }
    EXPECT(dlsym(RTLD_DEFAULT, "empty_cache") == (void *)empty_cache);
    EXPECT(strlen(cupool_version()) >= 5);

    OK(cudaFree(rt_alloc(64 * MIB)));
    OK(cudaFree(rt_alloc(3 * MIB)));
    size_t released = cupool_empty_cache();
    printf("released %s\n", released >= 64 * MIB ? "all" : "too little");
    printf("then %zu\n", cupool_empty_cache());

    OK(cudaFree(rt_alloc(64 * MIB)));
    size_t before = free_memory();
    empty_cache();
    printf("free memory %s\n", free_memory() >= before ? "does not shrink" : "shrinks");

    struct cupool_stats stats;
    memset(&stats, 0xff, sizeof stats);
    printf("get_stats %d\n", cupool_get_stats(&stats, sizeof stats));
    printf("size %s, active %d, pools %d, allocations %d of %d\n",
           stats.size >= offsetof(struct cupool_stats, fences) ? "known" : "too small",
           (int)stats.active, (int)stats.pools, (int)stats.allocations,
           (int)stats.allocations_total);
    printf("requested %llu, peak %llu\n", (unsigned long long)stats.requested_bytes,
           (unsigned long long)stats.requested_bytes_peak);
    EXPECT(stats.reserved_bytes == stats.allocated_bytes + stats.idle_bytes);
    EXPECT(stats.hits + stats.misses == stats.allocations_total);
    EXPECT(stats.allocations_total == stats.allocations + stats.frees_total);
    printf("get_stats of nothing %s\n", cupool_get_stats(NULL, sizeof stats) ? "fails" : "succeeds");
    uint64_t first[2] = {0, 0x1234};
    EXPECT(cupool_get_stats((struct cupool_stats *)first, sizeof *first) == 0);
    printf("a caller with an older header: %s\n", first[1] == 0x1234 ? "intact" : "overwritten");
    cupool_reset_peak_stats();
    EXPECT(cupool_get_stats(&stats, sizeof stats) == 0);
    printf("peak then %llu\n", (unsigned long long)stats.requested_bytes_peak);
    printf("dump %d\n", cupool_stats_dump("dumped.json"));
    printf("dump to nowhere %s\n", cupool_stats_dump("no/such/place.json") ? "fails" : "succeeds");
    printf("file %s\n", access("dumped.json", R_OK) == 0 ? "written" : "missing");
    OK(cudaMemcpy(&word, live, 4, cudaMemcpyDeviceToHost));
    printf("live data %#x\n", word);
    OK(cudaFree(live));
    return 0;
}
