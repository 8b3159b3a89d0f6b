/* Delays system calls of a PostgreSQL server by what a file says, which may change meanwhile.
 *
 * LD_PRELOAD names this library, PINCHPOINT_DELAYS the file: five 32-bit numbers in the machine's
 * byte order, microseconds for each call
 *   0  fsync and fdatasync of a file below pg_wal
 *   1  reads of a file below base
 *   2  writes of a file below base
 *   3  fsync and fdatasync of a file below base
 *   4  writes of a file below pg_wal, for each 8 kB
 * The sleep lies within the call, so that the server reports the wait that it would report of a
 * slow disk. Without the file nothing is delayed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WAL_SYNC, DATA_READ, DATA_WRITE, DATA_SYNC, WAL_WRITE, KINDS };

static volatile uint32_t *delays;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("PINCHPOINT_DELAYS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, KINDS * sizeof(uint32_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED) delays = map;
    /* Otherwise each sleep takes 50 microseconds more. */
    prctl(PR_SET_TIMERSLACK, 1);
}

static int below(int fd, const char *directory) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, directory) != NULL;
}

static void delay_times(size_t times, int kind, int fd, const char *directory) {
    uint64_t microseconds = delays ? delays[kind] * (uint64_t)times : 0;
    if (!microseconds || !below(fd, directory)) return;
    int saved = errno;
    struct timespec left = {microseconds / 1000000, (microseconds % 1000000) * 1000L};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) {}
    errno = saved;
}

static void delay(int kind, int fd, const char *directory) { delay_times(1, kind, fd, directory); }

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SYNC(name)                                   \
    int name(int fd) {                               \
        static __typeof__(&name) next;               \
        if (!next) next = NEXT(name);                \
        delay(WAL_SYNC, fd, "/pg_wal/");             \
        delay(DATA_SYNC, fd, "/base/");              \
        return next(fd);                             \
    }
SYNC(fsync)
SYNC(fdatasync)

#define MOVE(name, kind, buffer, extra, offset)                       \
    ssize_t name(int fd, buffer, extra, offset at) {                  \
        static __typeof__(&name) next;                                \
        if (!next) next = NEXT(name);                                 \
        delay(kind, fd, "/base/");                                    \
        return next(fd, what, size, at);                              \
    }
MOVE(pread, DATA_READ, void *what, size_t size, off_t)
MOVE(pread64, DATA_READ, void *what, size_t size, off64_t)
MOVE(preadv, DATA_READ, const struct iovec *what, int size, off_t)
MOVE(preadv64, DATA_READ, const struct iovec *what, int size, off64_t)
MOVE(pwritev, DATA_WRITE, const struct iovec *what, int size, off_t)
MOVE(pwritev64, DATA_WRITE, const struct iovec *what, int size, off64_t)

#define WRITE(name, offset)                                           \
    ssize_t name(int fd, const void *what, size_t size, offset at) {  \
        static __typeof__(&name) next;                                \
        if (!next) next = NEXT(name);                                 \
        delay(DATA_WRITE, fd, "/base/");                              \
        delay_times(size / 8192, WAL_WRITE, fd, "/pg_wal/");          \
        return next(fd, what, size, at);                              \
    }
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)
