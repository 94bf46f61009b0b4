/* Records: RUN_DIR/containers/<id>@<hash of --root>/delegate, and RUN_DIR/foreign.
 *
 * NUL-terminated fields: kind, pid of the creating launcher, milliseconds from SIGTERM to SIGKILL, the
 * caller's --root, and the argv prefix of the OCI runtime that this container was created with. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIXED_FIELDS = 4 };

/* FNV-1a: one id may live below several --root folders. */
static uint64_t hash(const char *text)
{
    uint64_t value = 0xcbf29ce484222325;
    for (; *text; text++)
        value = (value ^ (unsigned char)*text) * 0x100000001b3;
    return value;
}

static bool parse_number(const char *text, int *number)
{
    size_t length = strlen(text);
    if (length == 0 || length > 9 || strspn(text, "0123456789") != length)
        return false;
    *number = atoi(text);
    return true;
}

static bool parse_record(struct record *record, size_t size)
{
    if (size == 0 || size > RECORD_BYTES || record->bytes[size - 1] != '\0')
        return false;
    int count = 0;
    for (char *field = record->bytes; field < record->bytes + size; field += strlen(field) + 1) {
        if (count == RECORD_FIELDS)
            return false;
        record->fields[count++] = field;
    }
    record->fields[count] = NULL;
    if (count <= FIXED_FIELDS)
        return false;
    record->yarn = same(record->fields[0], "yarn");
    record->delegate = record->fields + FIXED_FIELDS;
    return (record->yarn || same(record->fields[0], "foreign")) &&
           parse_number(record->fields[1], &record->creator) &&
           parse_number(record->fields[2], &record->grace_ms) && record->delegate[0][0] == '/';
}

/* Reads record->path. The file's descriptor stays open, closed on exec. */
static enum finding read_record(struct record *record)
{
    struct stat status;
    record->fd = open(record->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (record->fd < 0)
        return errno == ENOENT || errno == ENAMETOOLONG ? NO_RECORD : UNREADABLE_RECORD;
    if (fstat(record->fd, &status) == 0 && S_ISREG(status.st_mode)) {
        ssize_t size = read(record->fd, record->bytes, sizeof record->bytes);
        if (size > 0 && parse_record(record, size))
            return VALID_RECORD;
    }
    close(record->fd);
    return UNREADABLE_RECORD;
}

enum finding read_foreign_record(struct record *record)
{
    record->id = 0;
    snprintf(record->path, sizeof record->path, "%s", RUN_DIR "/foreign");
    return read_record(record);
}

static enum finding read_container_record(const struct arguments *args, int id, struct record *record)
{
    const char *name = args->words[id];
    record->id = id;
    if (name[0] == '\0' || strchr(name, '/') || same(name, ".") || same(name, ".."))
        return NO_RECORD;
    int length = snprintf(record->path, sizeof record->path, RUN_DIR "/containers/%s@%016llx/delegate", name,
                          (unsigned long long)hash(args->root));
    return length < (int)sizeof record->path ? read_record(record) : NO_RECORD;
}

/* The record of the container that the verb's words name: the first word that is neither an option
 * nor an option's value. A word after an unknown option may be either; it is the id if it has a record. */
enum finding find_record(const struct arguments *args, struct record *record)
{
    bool after_unknown = false;
    for (int i = args->verb + 1; i < args->count; i++) {
        enum word kind = classify_verb_word(args->words[i]);
        if (kind == OPTION_WITH_VALUE)
            i++;
        if (kind == PLAIN) {
            enum finding finding = read_container_record(args, i, record);
            if (finding != NO_RECORD || !after_unknown)
                return finding;
        }
        after_unknown = kind == OPTION_UNKNOWN;
    }
    return NO_RECORD;
}

void remove_record(const struct record *record)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(record->path, '/') - record->path), record->path);
    unlink(record->path);
    rmdir(folder);
}
