/* Blocks in poll(2), then in sleep(3), neither of which any handler lets restart: each may be
 * interrupted, but says so with EINTR and nothing else. */
#include "rt.h"

#include <poll.h>

int main(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    struct timespec pause = {5, 0};
    int result, interruptions = 0;

    OK(cudaFree(rt_alloc(64 * MIB)));
    printf("polling\n");
    fflush(stdout);
    while ((result = poll(&input, 1, -1)) < 0) {
        EXPECT(errno == EINTR);
        interruptions++;
    }
    EXPECT(result == 1 && interruptions <= 1);
    printf("sleeping\n");
    fflush(stdout);
    result = nanosleep(&pause, NULL);
    EXPECT(result == 0 || errno == EINTR);
    printf("woken\n");
    return 0;
}
