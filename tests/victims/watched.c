/* Looks one function of the driver up, by name with dlsym or by its family with
 * cuGetProcAddress, and calls it once:
 *
 *   watched (dlsym SYMBOL | query FAMILY VERSION FLAGS) [WHAT...]
 *
 * WHAT is `3=7`: argument 3 is 7; `3:8=7`: argument 3 points to zeros, but for a 7 in the word at
 * byte 8; `3=block`: argument 3 is a block of zeros on the device; `capture`: the call is made while
 * a stream captures. Every other argument is 0, which nearly every function refuses: the program
 * only lets on what it is up to. */
#include "victim.h"

#include <dlfcn.h>

enum { ARGUMENTS = 12, WORDS = 64 };

typedef int any_function(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                         uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

static void *driver;

static any_function *find(const char *symbol)
{
    return (any_function *)dlsym(driver, symbol);
}

/* Calls `symbol`, which has at most six arguments and is there. */
static int call(const char *symbol, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    any_function *function = find(symbol);
    EXPECT(function != NULL);
    return function(a, b, c, d, e, 0, 0, 0, 0, 0, 0, 0);
}

static void rounds(void)
{
    for (int round = 0; round < 3; round++) {
        uint64_t p = 0;
        OK(call("cuMemAlloc_v2", (uintptr_t)&p, MIB, 0, 0, 0));
        OK(call("cuMemFree_v2", p, 0, 0, 0, 0));
    }
}

int main(int argc, char **argv)
{
    static uint32_t blocks[ARGUMENTS][WORDS];
    uint64_t a[ARGUMENTS] = {0}, context, stream, block = 0, graph = 0;
    any_function *function = NULL;
    int next = 1, capture = 0;
    char last;

    driver = dlopen("libcuda.so.1", RTLD_NOW);
    EXPECT(driver != NULL);
    OK(call("cuInit", 0, 0, 0, 0, 0));
    OK(call("cuCtxCreate_v2", (uintptr_t)&context, 0, 0, 0, 0));
    OK(call("cuStreamCreate", (uintptr_t)&stream, 1, 0, 0, 0));
    OK(call("cuMemAlloc_v2", (uintptr_t)&block, MIB, 0, 0, 0));
    OK(call("cuMemsetD32_v2", block, 0, MIB / 4, 0, 0));
    rounds();

    if (argc >= 3 && strcmp(argv[1], "dlsym") == 0) {
        function = find(argv[2]);
        next = 3;
    } else if (argc >= 5 && strcmp(argv[1], "query") == 0) {
        OK(call("cuGetProcAddress_v2", (uintptr_t)argv[2], (uintptr_t)&function,
                (uint64_t)atoi(argv[3]), (uint64_t)atoi(argv[4]), 0));
        next = 5;
    }
    for (; next < argc; next++) {
        unsigned position, offset, value;
        if (sscanf(argv[next], "%u:%u=%u", &position, &offset, &value) == 3) {
            EXPECT(position < ARGUMENTS && offset / 4 < WORDS);
            blocks[position][offset / 4] = value;
            a[position] = (uintptr_t)blocks[position];
        } else if (sscanf(argv[next], "%u=%u", &position, &value) == 2) {
            EXPECT(position < ARGUMENTS);
            a[position] = value;
        } else if (sscanf(argv[next], "%u=bloc%c", &position, &last) == 2) {
            EXPECT(position < ARGUMENTS && last == 'k');
            a[position] = block;
        } else {
            EXPECT(strcmp(argv[next], "capture") == 0);
            capture = 1;
        }
    }

    if (capture)
        OK(call("cuStreamBeginCapture_v2", stream, 2, 0, 0, 0));
    if (function != NULL)
        printf("returned %d\n", function(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9],
                                         a[10], a[11]));
    else
        printf("nothing to call\n");
    if (capture)
        OK(call("cuStreamEndCapture", stream, (uintptr_t)&graph, 0, 0, 0));
    rounds();
    OK(call("cuMemFree_v2", block, 0, 0, 0, 0));
    return 0;
}
