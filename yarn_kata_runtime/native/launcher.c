/* yarn-kata-runtime: decides what a call needs, and becomes it.
 *
 * Every OCI verb is a new process, and most need no decision: those go to the OCI runtime that their
 * container was created with, for the price of one exec. Python starts only for the verbs that decide
 * (create, run) or give back (start, exec, delete of a YARN container), and for people's commands. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ABANDON_SECONDS = 30 };

/* The folder so many levels above the launcher's own file; 1: the folder that holds it. */
static const char *folder_above(int levels)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        die("cannot read /proc/self/exe: %s; mount /proc", strerror(errno));
    path[length] = '\0';
    while (levels-- > 0 && strrchr(path, '/'))
        *strrchr(path, '/') = '\0';
    return path;
}

/* Python's -I keeps the caller's environment and folder out, -S spends nothing on site-packages. */
static char **hot_path(const struct arguments *args, char **words)
{
    static char entry[PATH_MAX + 32], verb[16];
    snprintf(entry, sizeof entry, "%s/runtime/entry.py", folder_above(2));
    snprintf(verb, sizeof verb, "%d", args->verb);
    return join((char *[]){PYTHON, "-IS", entry, verb, NULL}, words);
}

static _Noreturn void become_peoples_tool(const struct arguments *args)
{
    static char marker[PATH_MAX + 32], python[PATH_MAX + 32];
    const char *venv = folder_above(6); /* lib/python3.x/site-packages/yarn_kata_runtime/native/launcher */
    snprintf(marker, sizeof marker, "%s/pyvenv.cfg", venv);
    snprintf(python, sizeof python, "%s/bin/python3", venv);
    char *interpreter = access(marker, F_OK) == 0 ? python : PYTHON;
    become(join((char *[]){interpreter, "-I", "-m", "yarn_kata_runtime.cli", NULL}, args->words + 1));
}

/* The record's OCI runtime with the caller's own words. */
static char **delegate(const struct arguments *args, const struct record *record)
{
    return join(record->delegate, args->words + 1);
}

/* Global options as the caller gave them, then the words of another verb. */
static char **with_verb(const struct arguments *args, char *const *words)
{
    char *verb = args->words[args->verb];
    args->words[args->verb] = NULL;
    char **joined = join(args->words + 1, words);
    args->words[args->verb] = verb;
    return joined;
}

static bool created_by(pid_t launcher, const struct arguments *args, struct record *record)
{
    return find_record(args, record) == VALID_RECORD && record->creator == launcher;
}

/* create and run: what a failed or killed one has taken is given back, though engines may not ask. */
static _Noreturn void create(const struct arguments *args, struct record *record)
{
    bool attached = same(args->words[args->verb], "run") && !wants_detach(args);
    bool stale = created_by(getpid(), args, record); /* left by an earlier process with our pid */
    int status = run_supervised(hot_path(args, args->words + 1));
    if ((attached || status != 0) && !stale && created_by(getpid(), args, record)) {
        char *words[] = {"delete", "--force", args->words[record->id], NULL};
        run_bounded(hot_path(args, with_verb(args, words)), ABANDON_SECONDS);
    }
    end_like(status);
}

static _Noreturn void delete_foreign(const struct arguments *args, const struct record *record)
{
    int status = run_supervised(delegate(args, record));
    if (status == 0)
        remove_record(record);
    end_like(status);
}

/* SIGTERM is what kill sends without a signal, as with runc. */
static bool is_terminate(const struct arguments *args, const struct record *record)
{
    for (int i = record->id + 1; i < args->count; i++)
        if (classify_verb_word(args->words[i]) == PLAIN)
            return same(args->words[i], "15") || strcasecmp(args->words[i], "TERM") == 0 ||
                   strcasecmp(args->words[i], "SIGTERM") == 0;
    return true;
}

/* YARN's own SIGKILL cannot reach a sandbox: it is sent as the user, to a process of root. */
static void escalate(const struct arguments *args, const struct record *record)
{
    char *words[] = {"kill", args->words[record->id], "9", NULL};
    run_later(join(record->delegate, with_verb(args, words)), record->grace_ms, record->fd);
}

int main(int argc, char **argv)
{
    static struct record record;
    struct arguments args = scan_arguments(argc, argv);
    const char *verb = argv[args.verb];
    report_errors_to(args.log, args.log_json);

    if (args.version && !args.verb) {
        puts("yarn-kata-runtime version " VERSION "\nspec: 1.0.2");
        return 0;
    }
    if (args.help || !args.verb)
        become_peoples_tool(&args);
    if (same(verb, "create") || same(verb, "run"))
        create(&args, &record);
    if (same(verb, "list") || same(verb, "restore")) /* about all containers; about one that is not there yet */
        become(hot_path(&args, argv + 1));

    enum finding finding = find_record(&args, &record);
    if (finding == NO_RECORD)
        finding = read_foreign_record(&record);
    if (finding != VALID_RECORD)
        become(hot_path(&args, argv + 1));

    if (record.yarn && (same(verb, "start") || same(verb, "exec") || same(verb, "delete")))
        become(hot_path(&args, argv + 1));
    if (record.id && same(verb, "delete"))
        delete_foreign(&args, &record);
    if (record.yarn && same(verb, "kill") && record.grace_ms > 0 && is_terminate(&args, &record))
        escalate(&args, &record);
    become(delegate(&args, &record));
}
