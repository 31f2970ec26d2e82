/* Prints whether the dynamic linker runs it in secure mode, as it does set-uid programs, and which
 * object supplies cuMemAlloc_v2. */
#include "victim.h"

#include <dlfcn.h>
#include <sys/auxv.h>

int main(void)
{
    printf("secure %lu\n", getauxval(AT_SECURE));
    printf("preloaded %s\n", dlsym(RTLD_DEFAULT, "cuMemAlloc_v2") ? "yes" : "no");
    printf("CUPOOL_CONF %s\n", secure_getenv("CUPOOL_CONF") ? "seen" : "not seen");
    return 0;
}
