/* Set the wall clock of one program, and no other clock: preloaded, it adds the seconds that the
 * file named by STEPPED_CLOCK says, at every call. It answers as clock_gettime(2) does.
 *
 *     gcc -shared -fPIC -O2 -o stepped_clock.so stepped_clock.c
 *     LD_PRELOAD=./stepped_clock.so STEPPED_CLOCK=seconds date
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long seconds(void)
{
    const char *name = getenv("STEPPED_CLOCK");
    FILE *file = name ? fopen(name, "re") : NULL;
    long step = 0;

    if (file) {
        if (fscanf(file, "%ld", &step) != 1)
            step = 0;
        fclose(file);
    }
    return step;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int result = syscall(SYS_clock_gettime, which, now);

    if (result == 0 && which == CLOCK_REALTIME)
        now->tv_sec += seconds();
    return result;
}

time_t time(time_t *kept)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (kept)
        *kept = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *kept, void *zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    kept->tv_sec = now.tv_sec;
    kept->tv_usec = now.tv_nsec / 1000;
    return 0;
}
