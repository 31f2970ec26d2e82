/* Holds device memory, and becomes `sleep` once it has read a line: the pid stays, and so does the time
 * at which it started. */
#include "rt.h"

#include <unistd.h>

int main(void)
{
    char line[16];
    (void)rt_alloc(64 * MIB);
    printf("ready\n");
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL)
        return 1;
    execlp("sleep", "sleep", "60", (char *)NULL);
    return 1;
}
