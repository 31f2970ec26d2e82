/* Fills the device in pieces and frees them; then one block of most of it must still be had,
 * whatever is cached, and the true error comes only when memory is truly out. */
#include "rt.h"

enum { PIECES = 8 };

static void fill_and_free(size_t size)
{
    unsigned *pieces[PIECES];
    for (int i = 0; i < PIECES; i++)
        pieces[i] = rt_alloc(size);
    OK(cudaMemset(pieces[PIECES - 1], 1, 4096));
    for (int i = 0; i < PIECES; i++)
        OK(cudaFree(pieces[i]));
}

int main(void)
{
    size_t available = 0, total = 0;
    void *p = NULL;

    OK(cudaMemGetInfo(&available, &total));
    /* A tenth is left for what others on a real GPU do meanwhile. */
    available -= available / 10;
    fill_and_free(available / PIECES / (2 * MIB) * (2 * MIB));
    SHOW(cudaMalloc(&p, available / 10 * 9));
    OK(cudaMemset(p, 1, 4096));
    SHOW(cudaFree(p));
    fill_and_free(available / PIECES / (2 * MIB) * (2 * MIB));
    fill_and_free(available / PIECES / 2 / (2 * MIB) * (2 * MIB));

    SHOW(cudaMalloc(&p, total + total / 8));
    printf("pointer %s\n", p ? "set" : "NULL");
    SHOW(cudaGetLastError());

    unsigned *half = rt_alloc(total / 2);
    SHOW(cudaMalloc(&p, total / 4 * 3));
    printf("pointer %s\n", p ? "set" : "NULL");
    SHOW(cudaGetLastError());
    OK(cudaFree(half));

    SHOW(cudaMalloc(&p, available));
    SHOW(cudaFree(p));
    return 0;
}
