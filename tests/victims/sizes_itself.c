/* A program that takes as much memory as it is told to be free, several times over: with other
 * blocks in use and without, all in one and in pieces. What is freed must be free again. */
#include "rt.h"

enum { PIECES = 8 };

/* All sizes are multiples of this. */
#define UNIT (64 * MIB)

/* A real device loses and gains a little by what others do. */
#define ABOUT (32 * MIB)

static size_t total;

static size_t free_memory(void)
{
    size_t available = 0, bytes = 0;
    OK(cudaMemGetInfo(&available, &bytes));
    EXPECT(available <= bytes && (total == 0 || bytes == total));
    total = bytes;
    return available;
}

static const char *compare(size_t now, size_t expected)
{
    return now + ABOUT < expected ? "less" : now > expected + ABOUT ? "more" : "the same";
}

/* Nine tenths of what is free. */
static size_t most(void) { return free_memory() / 10 * 9 / UNIT * UNIT; }

static void take_most(const char *when)
{
    size_t before = free_memory(), size = most();
    void *p = NULL;
    printf("%s: ", when);
    SHOW(cudaMalloc(&p, size));
    if (p == NULL)
        return;
    OK(cudaMemset((char *)p + size - 4096, 1, 4096));
    printf("  while it is in use: %s\n", compare(free_memory(), before - size));
    OK(cudaFree(p));
    printf("  after its free: %s\n", compare(free_memory(), before));
}

static void take_most_in_pieces(const char *when)
{
    size_t before = free_memory(), size = most() / PIECES / UNIT * UNIT;
    unsigned *pieces[PIECES];
    for (int i = 0; i < PIECES; i++)
        pieces[i] = rt_alloc(size);
    for (int i = 0; i < PIECES; i += 2)
        OK(cudaFree(pieces[i]));
    printf("%s, every other one freed: %s\n", when,
           compare(free_memory(), before - PIECES / 2 * size));
    take_most("beside the others");
    for (int i = 1; i < PIECES; i += 2)
        OK(cudaFree(pieces[i]));
    printf("all freed: %s\n", compare(free_memory(), before));
}

int main(void)
{
    size_t bytes = 1;
    take_most("first");
    take_most("again");
    take_most_in_pieces("in pieces");
    take_most_in_pieces("in pieces again");
    take_most("in the end");
    fflush(stdout);
    SHOW(cudaMemGetInfo(NULL, &bytes));
    SHOW(cudaMemGetInfo(&bytes, NULL));
    SHOW(cudaMemGetInfo(NULL, NULL));
    return 0;
}
