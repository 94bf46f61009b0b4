/* The parts of the launcher: what it was asked (arguments.c), what is known of the container
 * (record.c), and the processes that it becomes or starts (process.c). launcher.c routes. */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

static inline bool same(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* The command line of an OCI runtime: global options, a verb, the verb's own words. */
struct arguments {
    int count;
    char **words;
    int verb;         /* index of the OCI verb in words; 0: there is none */
    const char *root; /* value of --root, "" without one */
    const char *log;  /* value of --log, NULL without one */
    bool log_json;    /* --log-format json */
    bool help, version;
};

enum word {
    OPTION_WITH_VALUE, /* its value is the next word, if it has no = */
    OPTION_UNKNOWN,    /* the next word may be its value */
    FLAG,
    PLAIN,
};

struct arguments scan_arguments(int count, char **words);
enum word classify_verb_word(const char *word);
bool wants_detach(const struct arguments *args);

/* What `create` noted of a container, or of all containers that it does not know (RUN_DIR/foreign). */
enum finding { NO_RECORD, VALID_RECORD, UNREADABLE_RECORD };
enum { RECORD_BYTES = 32 * 1024, RECORD_FIELDS = 256 };

struct record {
    char path[PATH_MAX];
    int fd;             /* stays open: a link count of 0 says that the container was deleted */
    int id;             /* index of the container's id in the arguments' words; 0 for RUN_DIR/foreign */
    bool yarn;          /* of a YARN container, else of one that only passes through */
    pid_t creator;      /* the launcher that ran `create` */
    int grace_ms;       /* from SIGTERM to SIGKILL; 0: SIGTERM does not escalate */
    char **delegate;    /* the OCI runtime's path and its class's arguments, NULL at the end */
    char bytes[RECORD_BYTES + 1];
    char *fields[RECORD_FIELDS + 1];
};

enum finding find_record(const struct arguments *args, struct record *record);
enum finding read_foreign_record(struct record *record);
void remove_record(const struct record *record);

/* Processes. A command is an argv, NULL at the end, its first word an absolute path. */
void report_errors_to(const char *log, bool json);
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
char **join(char *const *first, char *const *second);
_Noreturn void become(char **command);
int run_supervised(char **command);
void run_bounded(char **command, int seconds);
void run_later(char **command, int delay_ms, int unless_unlinked);
_Noreturn void end_like(int status);

#endif
