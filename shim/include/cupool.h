/*
 * cupool.h: what a program can ask of libcupool.so.
 *
 * A program need not know of cupool at all. One that wants to finds these functions in its own
 * process once it runs with LD_PRELOAD=libcupool.so: declare them weak and test for NULL, look them
 * up with dlsym(RTLD_DEFAULT, ...), or from Python:
 *
 *     import ctypes
 *     ctypes.CDLL(None).empty_cache()
 *
 * All of them may be called from any thread at any time, but not from a signal handler. As long as
 * the process has not used CUDA, in a forked child, and where cupool is disabled they do nothing
 * and report nothing.
 */
#ifndef CUPOOL_H
#define CUPOOL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Gives all idle memory of this process back to the driver, on every device, so that other
 * processes can have it; also what the driver itself caches for cudaMallocAsync and for graphs.
 * What GPU work may still use is waited for; launches of other threads are not delayed.
 */
void empty_cache(void);

/* The same; returns the bytes given back. */
size_t cupool_empty_cache(void);

/*
 * Writes the stats file (JSON) to `path`, which is replaced atomically and may contain the patterns
 * %p pid, %h host, %e executable, %t start time, %n sequence number and %%. NULL: to the configured
 * place. Returns 0, or -1 with errno: ENOTCONN if there are no pools (yet), ENOENT if there is no
 * configured place (`stats:none`) or `path` is empty, EINVAL for a path that is no UTF-8, EPERM for a directory or
 * file that is refused (PLATFORM.md says which), EBUSY if another file is in the way for long,
 * EDEADLK in a signal handler that has interrupted cupool, or why the system could not write it.
 */
int cupool_stats_dump(const char *path);

/*
 * What the pools count, summed over all devices and contexts. Words mean what they mean in
 * torch.cuda.memory_stats. A peak is the sum of the pools' peaks. The struct only ever grows at
 * its end.
 */
struct cupool_stats {
    uint64_t size;            /* bytes that this libcupool.so knows of, whatever it filled */
    uint64_t active;          /* 1 if the pools exist and work, else 0 */
    uint64_t pools;           /* contexts that have or had a pool */
    uint64_t allocated_bytes; /* in the program's hands, as rounded by the pool */
    uint64_t allocated_bytes_peak;
    uint64_t requested_bytes; /* of those, what the program asked for */
    uint64_t requested_bytes_peak;
    uint64_t reserved_bytes;  /* taken from the driver */
    uint64_t reserved_bytes_peak;
    uint64_t idle_bytes;      /* reserved, but not allocated */
    uint64_t allocations;     /* blocks in the program's hands */
    uint64_t allocations_total; /* blocks ever handed out */
    uint64_t frees_total;     /* blocks ever taken back */
    uint64_t segments;        /* reservations from the driver */
    uint64_t hits;            /* allocations served from idle memory */
    uint64_t misses;          /* allocations that went to the driver */
    uint64_t num_alloc_retries; /* allocations that needed a flush */
    uint64_t num_ooms;        /* allocations that failed for memory */
    uint64_t num_device_alloc; /* driver calls that reserved memory */
    uint64_t num_device_free; /* driver calls that gave memory back */
    uint64_t fences;          /* context fences placed */
    uint64_t host_syncs;      /* times the host waited for the device on the pools' account */
    uint64_t dump_failures;   /* stats files that could not be written */
    uint64_t num_device_move; /* times idle memory was mapped elsewhere instead of reserving more */
};

/*
 * Fills the first `size` bytes of `*stats`; pass sizeof(struct cupool_stats). What this
 * libcupool.so does not know of becomes zero. Returns 0, or -1 with errno EINVAL if `stats` is
 * NULL.
 */
int cupool_get_stats(struct cupool_stats *stats, size_t size);

/* Every peak starts again from the present value. */
void cupool_reset_peak_stats(void);

/* The version, for instance "0.1.0"; static memory. */
const char *cupool_version(void);

#ifdef __cplusplus
}
#endif

/* The size that libcupool.so is compiled to; it checks each field's place as well. */
#if defined(__cplusplus) && __cplusplus >= 201103L
static_assert(sizeof(struct cupool_stats) == 24 * sizeof(uint64_t), "no padding");
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(struct cupool_stats) == 24 * sizeof(uint64_t), "no padding");
#endif

#endif /* CUPOOL_H */
