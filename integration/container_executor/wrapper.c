/* container-executor: setuid root, executable by the NodeManager's group; gives its arguments, and nothing
   of the caller's environment, to the stand-in.  The caller stays the real user, so it is known there. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL};
    char **call = calloc(argc + 5, sizeof(char *));
    if (call == NULL)
        return 255;
    call[0] = "/usr/bin/python3";
    call[1] = "-I";
    call[2] = LIBRARY;
    call[3] = PROGRAM;
    if (argc > 1)
        memcpy(call + 4, argv + 1, (argc - 1) * sizeof(char *));
    execve(call[0], call, environment);
    perror(call[0]);
    return 255;
}
