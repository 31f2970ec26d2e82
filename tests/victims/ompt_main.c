/* Finds and calls ompt.c's `ompt_start_tool`, and resolves names by RTLD_DEFAULT and RTLD_NEXT
 * from the program itself. */
#include "victim.h"

#include <dlfcn.h>

int main(void)
{
    void *(*tool)(unsigned, const char *) =
        (void *(*)(unsigned, const char *))dlsym(RTLD_DEFAULT, "ompt_start_tool");
    EXPECT(tool != NULL);
    EXPECT(tool(201811, "victim") == NULL);
    EXPECT(dlsym(RTLD_NEXT, "main") == NULL);
    EXPECT(dlsym(RTLD_NEXT, "malloc") == dlsym(RTLD_DEFAULT, "malloc"));
    EXPECT(dlsym(RTLD_DEFAULT, "no_such_name") == NULL);
    printf("malloc %s\n", dlsym(RTLD_DEFAULT, "malloc") ? "found" : "missing");
    return 0;
}
