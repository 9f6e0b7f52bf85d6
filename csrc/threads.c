/* The one place where threads exist. */
#include "pmc.h"

#include <pthread.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* An OpenMP runtime's threads do not survive fork(): a child that asked for them would wait for ever. */
static int forked;
static void after_fork_in_child(void) { forked = 1; }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork_in_child); }

void pmc_parallel_for(int64_t threads, int64_t tasks, pmc_task task, void *context) {
    if (threads > tasks) threads = tasks;
#ifdef _OPENMP
    if (threads > 1 && !forked) {
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)threads)
        for (int64_t i = 0; i < tasks; i++) task(context, i, omp_get_thread_num());
        return;
    }
#endif
    for (int64_t i = 0; i < tasks; i++) task(context, i, 0);
}

int64_t pmc_default_threads(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

const char *pmc_openmp_runtime(void) {
#if !defined(_OPENMP)
    return "none (built without OpenMP)";
#elif defined(__clang__)
    return "libomp";
#else
    return "libgomp";
#endif
}
