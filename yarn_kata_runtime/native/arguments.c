/* Reads the command lines of runc, crun, youki and runsc as far as the launcher needs them. */
#include "launcher.h"

static const char *const VERBS[] = {
    "create", "start", "state", "kill", "delete", "run", "exec", "ps", "list", "pause", "resume",
    "update", "events", "features", "spec", "checkpoint", "restore", NULL,
};

/* A global option that is in no table takes the word after it unless that is a verb, so only those
 * are here whose value may read like one. Not rootless: a flag of runsc, with a value in runc. */
static const char *const GLOBAL_VALUES[] = {
    "root", "log", "log-format", "log-level", "criu", "cgroup-manager", "cgroup-root", "debug-log",
    "debug-log-format", "panic-log", "platform", NULL,
};

static const char *const GLOBAL_FLAGS[] = {"debug", "systemd-cgroup", "h", "help", "v", "version", NULL};

/* Options of the verbs. f and r have a value with some verbs and none with others: in neither table. */
static const char *const VERB_VALUES[] = {
    "additional-gids", "apparmor", "b", "blkio-weight", "bundle", "c", "cap", "cgroup",
    "console-socket", "cpu-burst", "cpu-idle", "cpu-period", "cpu-quota", "cpu-rt-period",
    "cpu-rt-runtime", "cpu-share", "cpu-shares", "cpuset-cpus", "cpuset-mems", "cwd", "e",
    "empty-ns", "env", "format", "g", "image-path", "internal-pid-file", "interval", "kernel-memory",
    "kernel-memory-tcp", "l3-cache-schema", "manage-cgroups-mode", "mem-bw-schema", "memory",
    "memory-reservation", "memory-swap", "p", "page-server", "parent-path", "pid", "pid-file",
    "pids-limit", "preserve-fds", "process", "process-label", "resources", "status-fd", "u", "user",
    "user-log", "work-path", NULL,
};

static const char *const VERB_FLAGS[] = {
    "a", "all", "auto-dedup", "d", "detach", "ext-unix-sk", "file-locks", "force", "h", "help",
    "ignore-paused", "keep", "lazy-pages", "leave-running", "no-new-keyring", "no-new-privs",
    "no-pivot", "no-subreaper", "pre-dump", "q", "quiet", "shell-job", "stats", "t",
    "tcp-established", "tty", NULL,
};

static bool among(const char *const *table, const char *name)
{
    while (*table && !same(*table, name))
        table++;
    return *table != NULL;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* Go's flag package, which runc and runsc use, takes one dash for two. */
static const char *option_name(const char *option)
{
    return option[1] == '-' ? option + 2 : option + 1;
}

/* The value of option, joined to it with = or in next, if it is the option called name. */
static const char *value_of(const char *option, const char *next, const char *name)
{
    const char *given = option_name(option);
    size_t length = strlen(name);
    if (strncmp(given, name, length) != 0)
        return NULL;
    if (given[length] == '=')
        return given + length + 1;
    return given[length] == '\0' ? next : NULL;
}

/* Whether next, the word after a global option, is that option's value. */
static bool takes_next(const char *option, const char *next)
{
    const char *name = option_name(option);
    if (next == NULL || name[0] == '\0' || strchr(name, '=') || among(GLOBAL_FLAGS, name))
        return false;
    return among(GLOBAL_VALUES, name) || (option[1] == '-' && !is_option(next) && !among(VERBS, next));
}

struct arguments scan_arguments(int count, char **words)
{
    struct arguments args = {.count = count, .words = words, .root = ""};
    int i = 1;
    while (i < count && is_option(words[i])) {
        const char *option = words[i++], *value;
        const char *next = takes_next(option, words[i]) ? words[i++] : NULL;
        if ((value = value_of(option, next, "root")))
            args.root = value;
        if ((value = value_of(option, next, "log")))
            args.log = value;
        if ((value = value_of(option, next, "log-format")))
            args.log_json = same(value, "json");
        args.help |= same(option_name(option), "help") || same(option_name(option), "h");
        args.version |= same(option_name(option), "version") || same(option_name(option), "v");
    }
    if (i < count && among(VERBS, words[i]))
        args.verb = i;
    return args;
}

enum word classify_verb_word(const char *word)
{
    if (!is_option(word))
        return PLAIN;
    const char *name = option_name(word);
    if (name[0] == '\0' || strchr(name, '=') || among(VERB_FLAGS, name))
        return FLAG;
    return among(VERB_VALUES, name) ? OPTION_WITH_VALUE : OPTION_UNKNOWN;
}

/* Whether word is --detach, or -d alone or in crun's -dt: where in doubt yes, since a container
 * that is wrongly taken for attached would be deleted while it runs. */
static bool is_detach(const char *word)
{
    if (!is_option(word))
        return false;
    const char *name = option_name(word);
    if (strncmp(name, "detach", 6) == 0)
        return !same(name, "detach=false");
    return word[1] != '-' && name[strspn(name, "dt")] == '\0' && strchr(name, 'd');
}

bool wants_detach(const struct arguments *args)
{
    for (int i = args->verb + 1; i < args->count; i++) {
        if (is_detach(args->words[i]))
            return true;
        if (classify_verb_word(args->words[i]) == OPTION_WITH_VALUE)
            i++;
    }
    return false;
}
