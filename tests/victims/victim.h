/* What every victim shares: checks that name their line, and time. Nothing here knows cupool. */
#ifndef VICTIM_H
#define VICTIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* How long a "late" kernel waits before it touches memory, in microseconds: far longer than the
 * host needs for the few calls that follow its launch. */
#define LATE 100000L

/* Ends the program with a line of its own when something it relies on does not hold. */
#define EXPECT(condition)                                                                        \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);              \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

/* A call that returns 0 when all is well (CUDA's, and POSIX threads'). */
#define OK(call)                                                                                 \
    do {                                                                                         \
        int result_ = (int)(call);                                                               \
        if (result_ != 0) {                                                                      \
            fprintf(stderr, "%s:%d: %d from %s\n", __FILE__, __LINE__, result_, #call);          \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

/* Prints a call and the error code it returned. */
#define SHOW(call) printf("%s = %d\n", #call, (int)(call))

static inline void sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

#endif
