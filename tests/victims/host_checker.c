/* A library that is called like the one which compute-sanitizer puts into a process. */
int checker_is_here = 1;
