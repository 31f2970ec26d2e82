/* Runs with its standard error closed, so that the first file it opens gets descriptor 2: nobody
 * else may write there. */
#include "rt.h"

#include <fcntl.h>
#include <sys/stat.h>

int main(void)
{
    struct stat info;
    close(2);
    int file = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    EXPECT(file == 2);
    EXPECT(write(file, "mine", 4) == 4);
    for (int round = 0; round < 10; round++)
        OK(cudaFree(rt_alloc(MIB)));
    EXPECT(fstat(file, &info) == 0);
    printf("my file has %ld bytes\n", (long)info.st_size);
    return 0;
}
