/* Preloaded into a process: counts the calls that change files below some folders, and breaks one of them.

   The environment says which (see breaking.py): BREAKING_ROOTS, folders; BREAKING_ROLE, a part of the command line;
   BREAKING_STATE, a file of words shared by all such processes; BREAKING_TRACE, a file that gets a line for each call;
   BREAKING_CALL, BREAKING_GLOB, BREAKING_NTH and BREAKING_TIMES, which calls; BREAKING_HOW, what happens at them.

   Counting is over all threads and processes together, in the order in which the calls come. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MET, BROKEN, PROCESSES, FIRST_PROCESS = 8, MAX_PROCESSES = 64 };
enum { GO_ON, FAIL, SHORT };

static volatile unsigned long *state;
static int trace_file = -1;
static const char *roots[8], *call_wanted, *glob, *how = "";
static int root_count;
static long nth, times;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

static int is_inside(const char *path) {
    for (int i = 0; i < root_count; i++) {
        size_t length = strlen(roots[i]);
        if (!strncmp(path, roots[i], length) && (path[length] == '/' || !path[length])) return 1;
    }
    return 0;
}

static void of_descriptor(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    char *end = strstr(path, " (deleted)");
    if (end) *end = 0;
}

static void of_name(int folder, const char *name, char *path) {
    path[0] = 0;
    if (!name) return;
    if (name[0] != '/') {
        if (folder != AT_FDCWD) of_descriptor(folder, path);
        else if (!getcwd(path, PATH_MAX)) path[0] = 0;
        strncat(path, "/", PATH_MAX - strlen(path) - 1);
    }
    strncat(path, name, PATH_MAX - strlen(path) - 1);
}

static void note(const char *call, const char *path, int fd, const char *mark) {
    if (trace_file < 0) return;
    struct stat found = {0};
    char line[PATH_MAX + 128];
    if (fd >= 0 ? fstat(fd, &found) : lstat(path, &found)) found.st_ino = 0;
    int length = snprintf(line, sizeof line, "%d %s %lu %s %s\n", getpid(), call, (unsigned long)found.st_ino, mark, path);
    syscall(SYS_write, trace_file, line, (size_t)length);
}

static void kill_here(int everybody) {
    pid_t self = (pid_t)syscall(SYS_getpid);
    state[BROKEN] = (unsigned long)self;
    for (unsigned long i = 0; everybody && i < state[PROCESSES] && i < MAX_PROCESSES; i++)
        if ((pid_t)state[FIRST_PROCESS + i] != self) kill((pid_t)state[FIRST_PROCESS + i], SIGKILL);
    kill(self, SIGKILL);
    for (;;) pause();
}

/* Decide about one call on one path. FAIL: errno is set. SHORT: only a part is to be written; *then_kill tells whether
   that is the last thing the process does. */
static int consider(const char *call, const char *path, int fd, int *then_kill) {
    int before = errno;
    *then_kill = 0;
    if (!state || !is_inside(path)) return errno = before, GO_ON;
    int wanted = call_wanted && !strcmp(call, call_wanted) && !fnmatch(glob, path, 0);
    long count = wanted ? (long)__atomic_add_fetch(&state[MET], 1, __ATOMIC_SEQ_CST) : 0;
    if (!wanted || count < nth || count >= nth + times) {
        note(call, path, fd, "-");
        return errno = before, GO_ON;
    }
    note(call, path, fd, how);
    if (!strcmp(how, "kill")) kill_here(0);
    if (!strcmp(how, "kill-all")) kill_here(1);
    if (!strcmp(how, "torn") || !strcmp(how, "short")) {
        *then_kill = how[0] == 't';
        if (!*then_kill) state[BROKEN] = (unsigned long)getpid();
        return errno = before, SHORT;
    }
    state[BROKEN] = (unsigned long)getpid();
    errno = atoi(how);
    return FAIL;
}

static int of_path(const char *call, int folder, const char *name) {
    char path[PATH_MAX];
    int then_kill;
    if (!state) return GO_ON;
    of_name(folder, name, path);
    int what = consider(call, path, -1, &then_kill);
    if (what == SHORT && then_kill) kill_here(0);
    return what == FAIL;
}

static int of_file(const char *call, int fd) {
    char path[PATH_MAX];
    int then_kill;
    if (!state) return GO_ON;
    of_descriptor(fd, path);
    int what = consider(call, path, fd, &then_kill);
    if (what == SHORT && then_kill) kill_here(0);
    return what == FAIL;
}

/* How many of `size` bytes to write now; -1: none, errno says why. */
static ssize_t allowed(const char *call, int fd, size_t size, int *then_kill) {
    char path[PATH_MAX];
    *then_kill = 0;
    if (!state) return (ssize_t)size;
    of_descriptor(fd, path);
    int what = consider(call, path, fd, then_kill);
    if (what == FAIL) return -1;
    return what == SHORT && size > 1 ? (ssize_t)(size / 2) : (ssize_t)size;
}

static ssize_t done(ssize_t result, int then_kill) {
    if (then_kill) kill_here(0);
    return result;
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    int then_kill;
    ssize_t part = allowed("write", fd, size, &then_kill);
    return part < 0 ? -1 : done(real(fd, data, (size_t)part), then_kill);
}

#define AT_OFFSET(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) { \
        REAL(name); \
        int then_kill; \
        ssize_t part = allowed("pwrite", fd, size, &then_kill); \
        return part < 0 ? -1 : done(real(fd, data, (size_t)part, offset), then_kill); \
    }
AT_OFFSET(pwrite, off_t)
AT_OFFSET(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    int then_kill;
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    ssize_t part = allowed("writev", fd, size, &then_kill);
    if (part < 0) return -1;
    if ((size_t)part == size) return done(real(fd, parts, count), then_kill);
    char *whole = malloc(size), *at = whole;
    for (int i = 0; i < count; at += parts[i].iov_len, i++) memcpy(at, parts[i].iov_base, parts[i].iov_len);
    ssize_t result = syscall(SYS_write, fd, whole, (size_t)part);
    free(whole);
    return done(result, then_kill);
}

#define BETWEEN(name, offset_type) \
    ssize_t name(int to, int from, offset_type *offset, size_t size) { \
        REAL(name); \
        int then_kill; \
        size_t some = size > 4096 ? 4096 : size; /* what is left to copy may be far less than what is asked for */ \
        ssize_t part = allowed("sendfile", to, some, &then_kill); \
        if (part < 0) return -1; \
        return done(real(to, from, offset, (size_t)part == some ? size : (size_t)part), then_kill); \
    }
BETWEEN(sendfile, off_t)
BETWEEN(sendfile64, off64_t)

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags) {
    REAL(copy_file_range);
    int then_kill;
    ssize_t part = allowed("copy_file_range", to, size, &then_kill);
    return part < 0 ? -1 : done(real(from, from_at, to, to_at, (size_t)part, flags), then_kill);
}

#define ON_FILE(name, label, parameters, ...) \
    int name parameters { \
        REAL(name); \
        return of_file(label, fd) ? -1 : real(__VA_ARGS__); \
    }
ON_FILE(fsync, "fsync", (int fd), fd)
ON_FILE(fdatasync, "fdatasync", (int fd), fd)
ON_FILE(ftruncate, "ftruncate", (int fd, off_t size), fd, size)
ON_FILE(ftruncate64, "ftruncate", (int fd, off64_t size), fd, size)
ON_FILE(fallocate, "fallocate", (int fd, int mode, off_t at, off_t size), fd, mode, at, size)
ON_FILE(fallocate64, "fallocate", (int fd, int mode, off64_t at, off64_t size), fd, mode, at, size)
ON_FILE(fchmod, "fchmod", (int fd, mode_t mode), fd, mode)

#define ALLOCATING(name, offset_type) /* returns the error rather than setting errno */ \
    int name(int fd, offset_type at, offset_type size) { \
        REAL(name); \
        return of_file("fallocate", fd) ? errno : real(fd, at, size); \
    }
ALLOCATING(posix_fallocate, off_t)
ALLOCATING(posix_fallocate64, off64_t)

#define ON_PATH(name, label, folder, path, parameters, ...) \
    int name parameters { \
        REAL(name); \
        return of_path(label, folder, path) ? -1 : real(__VA_ARGS__); \
    }
ON_PATH(rename, "rename", AT_FDCWD, to, (const char *from, const char *to), from, to)
ON_PATH(renameat, "rename", b, to, (int a, const char *from, int b, const char *to), a, from, b, to)
ON_PATH(renameat2, "rename", b, to, (int a, const char *from, int b, const char *to, unsigned f), a, from, b, to, f)
ON_PATH(link, "link", AT_FDCWD, to, (const char *from, const char *to), from, to)
ON_PATH(linkat, "link", b, to, (int a, const char *from, int b, const char *to, int f), a, from, b, to, f)
ON_PATH(symlink, "symlink", AT_FDCWD, to, (const char *from, const char *to), from, to)
ON_PATH(unlink, "unlink", AT_FDCWD, path, (const char *path), path)
ON_PATH(unlinkat, "unlink", folder, path, (int folder, const char *path, int flags), folder, path, flags)
ON_PATH(remove, "unlink", AT_FDCWD, path, (const char *path), path)
ON_PATH(rmdir, "rmdir", AT_FDCWD, path, (const char *path), path)
ON_PATH(mkdir, "mkdir", AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
ON_PATH(mkdirat, "mkdir", folder, path, (int folder, const char *path, mode_t mode), folder, path, mode)
ON_PATH(mkfifo, "mkfifo", AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
ON_PATH(chmod, "chmod", AT_FDCWD, path, (const char *path, mode_t mode), path, mode)
ON_PATH(truncate, "truncate", AT_FDCWD, path, (const char *path, off_t size), path, size)
ON_PATH(truncate64, "truncate", AT_FDCWD, path, (const char *path, off64_t size), path, size)

/* "create" changes the disk, "open" only reads. */
#define OPENING(name, folder, parameters, ...) \
    int name parameters { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (of_path(flags & (O_CREAT | O_TRUNC) ? "create" : "open", folder, path)) return -1; \
        return real(__VA_ARGS__, flags, mode); \
    }
OPENING(open, AT_FDCWD, (const char *path, int flags, ...), path)
OPENING(open64, AT_FDCWD, (const char *path, int flags, ...), path)
OPENING(openat, folder, (int folder, const char *path, int flags, ...), folder, path)
OPENING(openat64, folder, (int folder, const char *path, int flags, ...), folder, path)

DIR *opendir(const char *path) {
    REAL(opendir);
    return of_path("open", AT_FDCWD, path) ? NULL : real(path);
}

static void register_process(void) {
    unsigned long place = __atomic_fetch_add(&state[PROCESSES], 1, __ATOMIC_SEQ_CST);
    if (place < MAX_PROCESSES) state[FIRST_PROCESS + place] = (unsigned long)getpid();
}

static int plays(const char *role) {
    char line[4096];
    int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
    ssize_t length = syscall(SYS_read, file, line, sizeof line - 1);
    syscall(SYS_close, file);
    for (ssize_t i = 0; i < length; i++)
        if (!line[i]) line[i] = ' ';
    line[length < 0 ? 0 : length] = 0;
    return strstr(line, role) != NULL;
}

__attribute__((constructor)) static void begin(void) {
    char *folders = getenv("BREAKING_ROOTS"), *path = getenv("BREAKING_STATE"), *role = getenv("BREAKING_ROLE");
    if (!folders || !path || !role || !plays(role)) return;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    syscall(SYS_close, file);
    if (mapped == MAP_FAILED) return;
    char *kept = strdup(folders);
    for (char *root = strtok(kept, ":"); root && root_count < 8; root = strtok(NULL, ":")) roots[root_count++] = root;
    if ((path = getenv("BREAKING_TRACE"))) {
        int opened = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        trace_file = fcntl(opened, F_DUPFD_CLOEXEC, 900);
        syscall(SYS_close, opened);
    }
    if ((call_wanted = getenv("BREAKING_CALL"))) {
        glob = getenv("BREAKING_GLOB");
        nth = atol(getenv("BREAKING_NTH"));
        times = atol(getenv("BREAKING_TIMES"));
        how = getenv("BREAKING_HOW");
    }
    state = mapped;
    register_process();
    pthread_atfork(NULL, NULL, register_process);
}
