/* The floor: the same preads at the same pace, in C, with nothing kept.
 * Arguments: period in ns, number of ticks, SCHED_FIFO priority, files.
 * Prints one JSON object: ticks, missed, cpu_ns, wall_ns. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
    static char buffer[4096];
    int files[64], count = argc - 4;
    if (count < 1 || count > 64) return 2;
    long long period = atoll(argv[1]), ticks = atoll(argv[2]), missed = 0, taken = 0;
    struct sched_param priority = {.sched_priority = atoi(argv[3])};
    sched_setscheduler(0, SCHED_FIFO, &priority);
    mlockall(MCL_CURRENT | MCL_FUTURE);
    for (int i = 0; i < count; i++)
        if ((files[i] = open(argv[4 + i], O_RDONLY)) < 0) return perror(argv[4 + i]), 1;
    long long start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID), deadline = start;
    for (long long n = 0; n < ticks; n++) {
        deadline += period;
        if (now(CLOCK_MONOTONIC) > deadline) {
            missed++;
            continue;
        }
        struct timespec until = {deadline / 1000000000LL, deadline % 1000000000LL};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
        for (int i = 0; i < count; i++)
            if (pread(files[i], buffer, sizeof buffer, 0) < 0) return perror("pread"), 1;
        taken++;
    }
    printf("{\"ticks\": %lld, \"missed\": %lld, \"cpu_ns\": %lld, \"wall_ns\": %lld}\n", taken,
           missed, now(CLOCK_PROCESS_CPUTIME_ID) - cpu, now(CLOCK_MONOTONIC) - start);
    return 0;
}
