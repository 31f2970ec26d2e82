/* Loads the library that the first argument names, lets it use CUDA, and closes it, five times.
 * `deep`: with RTLD_DEEPBIND; then also frees what the library has allocated, by a look-up of its
 * own. `keep`: without closing it. */
#include "victim.h"

#include <dlfcn.h>

int main(int argc, char **argv)
{
    EXPECT(argc == 3);
    int deep = strcmp(argv[2], "deep") == 0, keep = strcmp(argv[2], "keep") == 0;
    for (int round = 0; round < 5; round++) {
        void *block = NULL;
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | (deep ? RTLD_DEEPBIND : 0));
        if (library == NULL) {
            printf("%s\n", dlerror());
            return 1;
        }
        int (*work)(void **) = (int (*)(void **))dlsym(library, "plugin_work");
        int (*give_back)(void *) = (int (*)(void *))dlsym(library, "plugin_free");
        EXPECT(work != NULL && give_back != NULL);
        OK(work(&block));
        if (deep) {
            void *driver = dlopen("libcuda.so.1", RTLD_NOW);
            int (*release)(unsigned long long) =
                (int (*)(unsigned long long))dlsym(driver, "cuMemFree_v2");
            EXPECT(driver != NULL && release != NULL);
            OK(release((unsigned long long)(uintptr_t)block));
        } else {
            OK(give_back(block));
        }
        if (!keep)
            OK(dlclose(library));
        printf("round %d\n", round);
        fflush(stdout);
    }
    return 0;
}
