/* Teams of threads under the thread sanitizer: what tasks write is seen by the next phase, several teams live at once,
 * and a forked child goes on alone.
 *
 *   clang -fsanitize=thread -fopenmp -g -O1 -I. tests/race.c csrc/threads.c -o race
 *   OMP_TOOL_LIBRARIES=/usr/lib/llvm-14/lib/libarcher.so TSAN_OPTIONS=ignore_noninstrumented_modules=1 ./race
 *
 * Archer (Atzeni and others, 2016), which comes with LLVM's OpenMP runtime, tells the sanitizer of its barriers; GCC's
 * runtime has no such thing, and would be full of false alarms. */
#include "csrc/pmc.h"
#include "csrc/threads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TASKS = 64, PHASES = 200, TEAMS = 4, THREADS = 4 };

typedef struct {
    int64_t before[TASKS], now[TASKS], sum;
} work;

static void task(void *context, int64_t i, int64_t thread) {
    work *w = context;
    (void)thread;
    w->now[i] = w->before[(i + 1) % TASKS] + 1; /* what another task wrote in the phase before */
}

static void phases(void *context, pmc_team *team) {
    work *w = context;
    for (int phase = 0; phase < PHASES; phase++) {
        pmc_parallel_for(team, TASKS, task, w);
        for (int i = 0; i < TASKS; i++) w->before[i] = w->now[i];
    }
    for (int i = 0; i < TASKS; i++) w->sum += w->now[i];
}

static void *run(void *unused) {
    for (int again = 0; again < 20; again++) {
        work *w = calloc(1, sizeof *w);
        pmc_with_threads(THREADS, phases, w);
        if (w->sum != (int64_t)TASKS * PHASES) abort();
        free(w);
    }
    return unused;
}

int main(void) {
    pthread_t teams[TEAMS];
    run(NULL);
    for (int i = 0; i < TEAMS; i++)
        if (pthread_create(&teams[i], NULL, run, NULL)) return 2;
    for (int i = 0; i < TEAMS; i++) pthread_join(teams[i], NULL);
    const pid_t child = fork();
    if (child == 0) {
        run(NULL);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) return 3;
    run(NULL);
    puts("no race");
    return 0;
}
