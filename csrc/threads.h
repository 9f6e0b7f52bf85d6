/* Threads: who runs the tasks of a phase. */
#pragma once

#include <stdint.h>

typedef void (*pmc_thread_task)(void *context, int64_t task, int64_t thread);

int64_t pmc_nanoseconds(void); /* of a clock that nobody sets */

/* The floating-point mode of the calling thread: rounding, and what becomes of subnormal numbers. */
uint64_t pmc_floating_mode(void);
void pmc_set_floating_mode(uint64_t mode);

/* Threads that stand ready while a body runs: at most so many, and none after a fork (then the team is NULL). Body and
 * tasks compute with subnormal numbers as zeros; afterwards every thread has the mode that it had. */
typedef struct pmc_team pmc_team;
void pmc_with_threads(int64_t threads, void (*body)(void *context, pmc_team *team), void *context);

/* Every task once, in any order, on the team's threads; inline without a team. */
void pmc_parallel_for(pmc_team *team, int64_t tasks, pmc_thread_task task, void *context);
