/* A library that sends SIGUSR1 to the program it is loaded into, as early as anything can. The command
 * `cupool` is spared. */
#include "victim.h"

#include <signal.h>

__attribute__((constructor)) static void load(void)
{
    if (strcmp(program_invocation_short_name, "cupool") != 0)
        raise(SIGUSR1);
}
