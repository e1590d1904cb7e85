/* A disk between a program and the kernel, for tests: built as a shared object and named in LD_PRELOAD.
 *
 * MARRAM_DISK_BELOW    only what happens to files and folders below this one (a path without links) counts
 * MARRAM_DISK_JOURNAL  every change and every sync below it is written down here, in order (see `journal.rs`)
 * MARRAM_DISK_FAULT    while this file exists, what it names fails: "OPERATION ERRNO PART-OF-PATH", where the operation
 *                      is `sync`, or `change`, which stands for every change and every sync
 *
 * A write is written down before it happens, and a sync after it has succeeded: so what is written down as synced was.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

static const char *below, *fault;
static int journal = -1;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("MARRAM_DISK_JOURNAL");
    below = getenv("MARRAM_DISK_BELOW");
    fault = getenv("MARRAM_DISK_FAULT");
    if (path) journal = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int is_below(const char *path) {
    size_t len = below ? strlen(below) : 0;
    return len && !strncmp(path, below, len) && (path[len] == '/' || !path[len]);
}

/* The path of a descriptor, if it counts. */
static int path_of(int fd, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    if (len < 0) return 0;
    path[len] = 0;
    return is_below(path);
}

/* kind u8 | number u64 | length of path u32 | length of data u32 | path | data; integers as the machine has them. */
static void note(char kind, uint64_t number, const char *path, const void *data, size_t len) {
    if (journal < 0) return;
    char head[17];
    uint32_t path_len = strlen(path), data_len = len;
    head[0] = kind;
    memcpy(head + 1, &number, 8);
    memcpy(head + 9, &path_len, 4);
    memcpy(head + 13, &data_len, 4);
    struct iovec parts[3] = {{head, sizeof head}, {(void *)path, path_len}, {(void *)data, len}};
    if (writev(journal, parts, 3) != (ssize_t)(sizeof head + path_len + len)) abort();
}

/* The error with which this is to fail, or 0. */
static int failing(int is_sync, const char *path) {
    char text[PATH_MAX], operation[16], part[PATH_MAX];
    int number, file = fault ? syscall(SYS_openat, AT_FDCWD, fault, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t len = read(file, text, sizeof text - 1);
    syscall(SYS_close, file);
    if (len <= 0) return 0;
    text[len] = 0;
    if (sscanf(text, "%15s %d %s", operation, &number, part) != 3) abort();
    return (is_sync || strcmp(operation, "sync")) && strstr(path, part) ? number : 0;
}

#define FAIL_IF_TOLD(is_sync, path) do { \
        int told = failing(is_sync, path); \
        if (told) { errno = told; return -1; } \
    } while (0)

static ssize_t write_at(int fd, const void *bytes, size_t len, off_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off_t);
    char path[PATH_MAX];
    if (path_of(fd, path)) {
        FAIL_IF_TOLD(0, path);
        note('w', at, path, bytes, len);
    }
    return real(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) { return write_at(fd, bytes, len, at); }
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return write_at(fd, bytes, len, at); }

ssize_t write(int fd, const void *bytes, size_t len) {
    REAL(ssize_t, write, int, const void *, size_t);
    char path[PATH_MAX];
    if (path_of(fd, path)) {
        FAIL_IF_TOLD(0, path);
        note('w', lseek(fd, 0, SEEK_CUR), path, bytes, len);
    }
    return real(fd, bytes, len);
}

ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t len, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off_t *, int, off_t *, size_t, unsigned);
    char path[PATH_MAX];
    static __thread char bytes[1 << 20];
    if (from_at || to_at || !path_of(to, path)) return real(from, from_at, to, to_at, len, flags);
    ssize_t got = read(from, bytes, len < sizeof bytes ? len : sizeof bytes);
    return got > 0 ? write(to, bytes, got) : got;
}

static int truncate_to(int fd, off_t len) {
    REAL(int, ftruncate64, int, off_t);
    char path[PATH_MAX];
    if (path_of(fd, path)) {
        FAIL_IF_TOLD(0, path);
        note('t', len, path, "", 0);
    }
    return real(fd, len);
}

int ftruncate64(int fd, off_t len) { return truncate_to(fd, len); }
int ftruncate(int fd, off_t len) { return truncate_to(fd, len); }

static int sync_by(int (*real)(int), int fd) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return real(fd);
    FAIL_IF_TOLD(1, path);
    uint64_t thread = syscall(SYS_gettid);
    note('b', thread, path, "", 0);
    int result = real(fd);
    if (!result) note('e', thread, path, "", 0);
    return result;
}

int fdatasync(int fd) { REAL(int, fdatasync, int); return sync_by(real, fd); }
int fsync(int fd) { REAL(int, fsync, int); return sync_by(real, fd); }

static int open_by(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    if (!is_below(path) || (flags & O_ACCMODE) == O_RDONLY) return real(path, flags, mode);
    FAIL_IF_TOLD(0, path);
    struct stat found;
    int is_new = (flags & O_CREAT) && stat(path, &found);
    int fd = real(path, flags, mode);
    if (fd >= 0 && is_new) note('c', 0, path, "", 0);
    if (fd >= 0 && !is_new && (flags & O_TRUNC)) note('t', 0, path, "", 0);
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return open_by(real, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    if (!is_below(to)) return real(from, to);
    FAIL_IF_TOLD(0, to);
    int result = real(from, to);
    if (!result) note('r', 0, from, to, strlen(to));
    return result;
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    if (!is_below(path)) return real(path, mode);
    FAIL_IF_TOLD(0, path);
    int result = real(path, mode);
    if (!result) note('m', 0, path, "", 0);
    return result;
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    if (!is_below(path)) return real(path);
    FAIL_IF_TOLD(0, path);
    int result = real(path);
    if (!result) note('u', 0, path, "", 0);
    return result;
}

int rmdir(const char *path) {
    REAL(int, rmdir, const char *);
    if (!is_below(path)) return real(path);
    FAIL_IF_TOLD(0, path);
    int result = real(path);
    if (!result) note('u', 0, path, "", 0);
    return result;
}

int unlinkat(int folder, const char *name, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    char path[PATH_MAX];
    if (folder == AT_FDCWD) return flags & AT_REMOVEDIR ? rmdir(name) : unlink(name);
    if (!path_of(folder, path)) return real(folder, name, flags);
    strncat(strncat(path, "/", PATH_MAX - strlen(path) - 1), name, PATH_MAX - strlen(path) - 1);
    FAIL_IF_TOLD(0, path);
    int result = real(folder, name, flags);
    if (!result) note('u', 0, path, "", 0);
    return result;
}
