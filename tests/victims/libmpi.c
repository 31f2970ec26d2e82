/* Stands for an MPI library: it is loaded, no more. */
int MPI_Initialized(int *flag)
{
    *flag = 0;
    return 0;
}
