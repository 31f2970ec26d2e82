/* What libgomp and libomp do at start: a library defines `ompt_start_tool` and looks for another
 * one behind itself. A dlsym wrapper that resolves RTLD_NEXT from its own place finds the very
 * function that asks, and the program never returns from it. This is that library. */
#include "victim.h"

#include <dlfcn.h>

void *ompt_start_tool(unsigned version, const char *runtime);

void *ompt_start_tool(unsigned version, const char *runtime)
{
    static int depth;
    EXPECT(depth++ == 0);
    void *(*next)(unsigned, const char *) =
        (void *(*)(unsigned, const char *))dlsym(RTLD_NEXT, "ompt_start_tool");
    printf("next ompt_start_tool: %s\n", next ? "another" : "none");
    return next ? next(version, runtime) : NULL;
}
