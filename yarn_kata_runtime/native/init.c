/* The first process inside a sandbox that ignores linux.sysctl: gives it its port range, then drops to
 * the container's user and becomes the container's program.
 *
 *     init FIRST LAST UID GID GROUPS CWD -- PROGRAM ARGUMENT...
 *
 * Starts as uid 0 with CAP_SETUID and CAP_SETGID only. GROUPS: numbers with commas between, or "-". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127, GROUPS_AT_MOST = 1024 };

static _Noreturn void fail(int code, const char *what, const char *which)
{
    dprintf(STDERR_FILENO, "yarn-kata-init: %s %s: %s\n", what, which, strerror(errno));
    _exit(code);
}

static void require(bool held, const char *what, const char *which)
{
    if (!held)
        fail(NOT_EXECUTABLE, what, which);
}

static unsigned int parse_number(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    errno = EINVAL;
    require(*text >= '0' && *text <= '9' && *end == '\0' && number <= INT_MAX, "bad number", text);
    return number;
}

static size_t parse_groups(char *list, gid_t *groups)
{
    size_t count = 0;
    if (strcmp(list, "-") == 0)
        return 0;
    for (char *group = strtok(list, ","); group; group = strtok(NULL, ",")) {
        require(count < GROUPS_AT_MOST, "too many groups, from", group);
        groups[count++] = parse_number(group);
    }
    return count;
}

static bool write_sysctl(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value) && close(fd) == 0;
}

static void set_port_range(unsigned int first, unsigned int last)
{
    char range[32];
    snprintf(range, sizeof range, "%u %u", first, last);
    require(write_sysctl("/proc/sys/net/ipv4/ip_local_port_range", range), "cannot set the port range", range);
    /* A block is small: let its ports be used again soon, where the kernel has this. */
    write_sysctl("/proc/sys/net/ipv4/tcp_tw_reuse", "1");
}

static void drop_to(uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0}, left[2];
    require(setgroups(count, groups) == 0, "cannot set the groups of", "the container");
    require(setresgid(gid, gid, gid) == 0, "cannot become group of", "the container");
    require(setresuid(uid, uid, uid) == 0, "cannot become user of", "the container");
    require(syscall(SYS_capset, &header, none) == 0, "cannot drop", "capabilities");
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "cannot set", "no_new_privs");
    errno = EPERM;
    bool bare = syscall(SYS_capget, &header, left) == 0 && memcmp(left, none, sizeof none) == 0;
    require(bare, "kept", "capabilities");
    require(setresuid(-1, 0, -1) < 0 && getuid() == uid && geteuid() == uid, "kept", "root");
}

int main(int argc, char **argv)
{
    static gid_t groups[GROUPS_AT_MOST];
    errno = EINVAL;
    require(argc > 8 && strcmp(argv[7], "--") == 0, "usage:", "FIRST LAST UID GID GROUPS CWD -- PROGRAM ...");
    unsigned int first = parse_number(argv[1]), last = parse_number(argv[2]);
    size_t count = parse_groups(argv[5], groups);
    unsigned int uid = parse_number(argv[3]), gid = parse_number(argv[4]);

    set_port_range(first, last);
    drop_to(uid, gid, groups, count);
    require(chdir(argv[6]) == 0, "cannot enter", argv[6]);
    execvp(argv[8], argv + 8);
    fail(errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE, "cannot execute", argv[8]);
}
