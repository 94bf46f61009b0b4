/* What the launcher becomes, starts and waits for, and how it reports that it cannot. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 2 * PATH_MAX };

static const char *error_log;
static bool error_log_json;

void report_errors_to(const char *log, bool json)
{
    error_log = log;
    error_log_json = json;
}

/* The message inside a quoted string of JSON or of logrus's text form. */
static void escape(const char *message, char *escaped)
{
    for (; *message; message++) {
        bool control = (unsigned char)*message < ' ', special = *message == '"' || *message == '\\';
        escaped += sprintf(escaped, control ? "\\u%04x" : special ? "\\%c" : "%c", *message);
    }
}

/* Engines show the last line of --log to the user, in the form that runc (logrus) writes. */
static void append_to_log(const char *message)
{
    char when[32], escaped[6 * MESSAGE_BYTES] = "";
    time_t now = time(NULL);
    int fd = open(error_log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    escape(message, escaped);
    if (error_log_json)
        dprintf(fd, "{\"level\":\"error\",\"msg\":\"%s\",\"time\":\"%s\"}\n", escaped, when);
    else
        dprintf(fd, "time=\"%s\" level=error msg=\"%s\"\n", when, escaped);
    close(fd);
}

void die(const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    dprintf(STDERR_FILENO, "yarn-kata-runtime: %s\n", message);
    if (error_log)
        append_to_log(message);
    _exit(1);
}

static size_t length_of(char *const *words)
{
    size_t length = 0;
    while (words[length])
        length++;
    return length;
}

/* The words of first and then those of second. */
char **join(char *const *first, char *const *second)
{
    size_t head = length_of(first), tail = length_of(second);
    char **words = calloc(head + tail + 1, sizeof *words);
    if (words == NULL)
        die("no memory for a command line of %zu words", head + tail);
    memcpy(words, first, head * sizeof *words);
    memcpy(words + head, second, tail * sizeof *words);
    return words;
}

void become(char **command)
{
    execv(command[0], command);
    die("cannot execute %s: %s; install it there again", command[0], strerror(errno));
}

/* Signals that a supervisor passes on to the process that it stands for. */
static const int FORWARDED[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGWINCH};

static sigset_t held;

static struct {
    sigset_t mask;
    struct sigaction on_child;
} callers;

/* From here on signals wait for sigtimedwait, and an inherited SIG_IGN loses no exit status. */
static void hold_signals(void)
{
    sigemptyset(&held);
    sigaddset(&held, SIGCHLD);
    for (size_t i = 0; i < sizeof FORWARDED / sizeof *FORWARDED; i++)
        sigaddset(&held, FORWARDED[i]);
    sigprocmask(SIG_BLOCK, &held, &callers.mask);
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &callers.on_child);
}

static void silence(void)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
}

/* A child that dies with this process and has the signals that the caller gave it. */
static pid_t start(char **command, bool quiet)
{
    pid_t self = getpid(), child = fork();
    if (child < 0)
        die("cannot start %s: %s", command[0], strerror(errno));
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != self)
        _exit(1);
    if (quiet)
        silence();
    sigaction(SIGCHLD, &callers.on_child, NULL);
    sigprocmask(SIG_SETMASK, &callers.mask, NULL);
    become(command);
}

/* Runs command in this process's place, signals passed on; returns its wait status. They stay held
 * afterwards, so that what is left to do is done. */
int run_supervised(char **command)
{
    int status;
    siginfo_t signal;
    hold_signals();
    pid_t child = start(command, false);
    while (waitpid(child, &status, WNOHANG) == 0)
        /* What the kernel sends (SI_KERNEL: a terminal's ctrl-C) reaches the child without us. */
        if (sigwaitinfo(&held, &signal) > 0 && signal.si_signo != SIGCHLD && signal.si_code <= 0)
            kill(child, signal.si_signo);
    return status;
}

/* After run_supervised: runs command without standard streams, for at most so many seconds. */
void run_bounded(char **command, int seconds)
{
    struct timespec limit = {.tv_sec = seconds};
    sigset_t child_ended;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    pid_t child = start(command, true);
    while (waitpid(child, NULL, WNOHANG) == 0)
        if (sigtimedwait(&child_ended, NULL, &limit) < 0)
            kill(child, SIGKILL);
}

/* Runs command after delay_ms, unless the open file unless_unlinked has no name any more by then. */
void run_later(char **command, int delay_ms, int unless_unlinked)
{
    pid_t child = fork();
    if (child < 0)
        die("cannot start a timer for %s: %s", command[0], strerror(errno));
    if (child > 0) {
        waitpid(child, NULL, 0);
        return;
    }
    /* Forked twice, so that the delegate has no child that it does not know. */
    if (fork() != 0)
        _exit(0);
    setsid();
    unless_unlinked = dup2(unless_unlinked, STDERR_FILENO + 1);
    silence();
    close_range(unless_unlinked + 1, ~0U, 0);
    fcntl(unless_unlinked, F_SETFD, FD_CLOEXEC);
    struct timespec delay = {.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000L};
    nanosleep(&delay, NULL);
    struct stat file;
    if (fstat(unless_unlinked, &file) < 0 || file.st_nlink == 0)
        _exit(0);
    become(command);
}

/* Ends as the process of that wait status did: with its exit code, or by the same signal. */
void end_like(int status)
{
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    int signal = WTERMSIG(status);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, signal);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0}); /* the child wrote its core, one is enough */
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    _exit(128 + signal);
}
