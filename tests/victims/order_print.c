/* Prints from a kernel, frees, and exits: natively the free has waited, so the line is there. */
#include "rt.h"

int main(void)
{
    unsigned *p = rt_alloc(MIB);
    OK(k_print(7, LATE, rt_stream()));
    OK(cudaFree(p));
    return 0;
}
