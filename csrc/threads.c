/* The one place where threads exist.
 *
 * A run is one parallel region: its first thread does the steps, the others wait for the tasks of a phase. Each thread
 * has a share of them, in a cache line of its own: the same numbers in every phase, so that its caches have what it
 * needs. When its own are done, it takes from the others' shares. Handing out a phase costs each thread a line that comes
 * and goes. The first thread waits until all *tasks* are done, not until all threads have come: on a busy machine,
 * where a thread may not get a processor for milliseconds, the others do its share. */
#define _GNU_SOURCE /* dladdr */
#include "threads.h"

#include "pmc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* A thread's share of a phase. `left` is what nobody has taken yet: the phase's number in the upper half, and below it
 * the first and the end, of MOST_UNITS. While any is left the other fields do not change, and none is left when a phase
 * is over: who takes some knows that they were that phase's. */
enum { LINE = 128, MOST_UNITS = UINT16_MAX }; /* lines are fetched in pairs */
typedef struct {
    _Alignas(LINE) _Atomic uint64_t left;
    _Atomic(pmc_thread_task) task;
    _Atomic(void *) context;
    _Atomic int64_t tasks, unit; /* of all threads; so many are taken at once */
    _Atomic int64_t done;        /* units that this thread has done, in all phases */
} share;

struct pmc_team {
    share shares[PMC_SHARDS];
    uint64_t phase;
    int64_t units; /* so many have been handed out, in all phases */
    _Alignas(LINE) int64_t threads;
    atomic_int closing;
};

/* An OpenMP runtime's threads do not survive fork(): a child that asked for them would wait for ever. */
static int forked;
static void after_fork_in_child(void) { forked = 1; }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork_in_child); }

/* Waits a moment; after many, lets somebody else have the processor. */
static void pause_at(int64_t moment) {
    enum { PATIENCE = 4000 };
    if (moment > PATIENCE) sched_yield();
#if defined(__x86_64__)
    else __builtin_ia32_pause();
#endif
}

static void do_unit(share *own, pmc_thread_task task, void *context, int64_t first, int64_t end, int64_t thread) {
    for (int64_t i = first; i < end; i++) task(context, i, thread);
    atomic_store_explicit(&own->done, atomic_load_explicit(&own->done, memory_order_relaxed) + 1, memory_order_release);
}

/* Takes a unit of a share, from its front where it is the thread's own, and does it; 0 if there is none. */
static int take_unit(pmc_team *team, int64_t owner, int64_t thread) {
    share *from = &team->shares[owner], *own = &team->shares[thread];
    uint64_t left = atomic_load_explicit(&from->left, memory_order_acquire);
    const int64_t first = (int64_t)(left >> 16 & MOST_UNITS), end = (int64_t)(left & MOST_UNITS);
    if (first == end) return 0;
    const pmc_thread_task task = atomic_load_explicit(&from->task, memory_order_acquire);
    void *context = atomic_load_explicit(&from->context, memory_order_acquire);
    const int64_t tasks = atomic_load_explicit(&from->tasks, memory_order_acquire);
    const int64_t unit = atomic_load_explicit(&from->unit, memory_order_acquire);
    const uint64_t rest = from == own ? left + (1 << 16) : left - 1;
    if (atomic_compare_exchange_strong_explicit(&from->left, &left, rest, memory_order_acq_rel, memory_order_relaxed)) {
        const int64_t begin = (from == own ? first : end - 1) * unit;
        do_unit(own, task, context, begin, begin + unit < tasks ? begin + unit : tasks, thread);
    }
    return 1;
}

/* Does a thread's share, and then what is left of the others'; returns whether there was anything. */
static int take_all(pmc_team *team, int64_t thread) {
    int any = 0;
    for (int64_t i = 0; i < team->threads; i++)
        while (take_unit(team, (thread + i) % team->threads, thread)) any = 1;
    return any;
}

static int all_done(pmc_team *team) {
    int64_t done = 0;
    for (int64_t i = 0; i < team->threads; i++)
        done += atomic_load_explicit(&team->shares[i].done, memory_order_acquire);
    return done == team->units;
}

void pmc_parallel_for(pmc_team *team, int64_t tasks, pmc_thread_task task, void *context) {
    if (!team || tasks < 2) {
        for (int64_t i = 0; i < tasks; i++) task(context, i, 0);
        return;
    }
    const int64_t unit = (tasks - 1) / MOST_UNITS + 1, units = (tasks - 1) / unit + 1;
    team->phase++;
    team->units += units;
    /* the others' first; the first thread's own first unit is taken already, as it would be next */
    for (int64_t i = team->threads - 1; i >= 0; i--) {
        share *of = &team->shares[i];
        const int64_t first = pmc_blocks(units * i, team->threads) + (i == 0);
        const int64_t end = pmc_blocks(units * (i + 1), team->threads);
        if (first >= end) continue;
        atomic_store_explicit(&of->task, task, memory_order_relaxed);
        atomic_store_explicit(&of->context, context, memory_order_relaxed);
        atomic_store_explicit(&of->tasks, tasks, memory_order_relaxed);
        atomic_store_explicit(&of->unit, unit, memory_order_relaxed);
        const uint64_t left = team->phase << 32 | (uint64_t)(first << 16 | end);
        atomic_store_explicit(&of->left, left, memory_order_release);
    }
    do_unit(&team->shares[0], task, context, 0, unit, 0);
    take_all(team, 0);
    for (int64_t moment = 0; !all_done(team); moment++) pause_at(moment);
}

#ifdef _OPENMP
static void wait_for_tasks(pmc_team *team, int64_t thread) {
    for (int64_t moment = 0; !atomic_load_explicit(&team->closing, memory_order_acquire); moment++) {
        if (take_unit(team, thread, thread)) {
            take_all(team, thread);
            moment = 0;
        } else pause_at(moment);
    }
}
#endif

#ifdef _OPENMP
/* Where other processes hold the processors, OpenMP's barriers around a region may cost a time slice, milliseconds, and
 * a prediction takes a tenth of one. A region that cost more than what was done in it is therefore not opened again for as
 * long; for twice as long each time that it comes again, up to ALONE times, and half as long after each that did not:
 * results are the same with any number of threads. */
enum { ALONE = 16 };
static _Atomic int64_t alone_until, alone_times = 1;
#endif

/* ---- the floating-point mode ---- */

/* Rounding to nearest, no traps, and subnormal numbers, as operands and as results, are zeros: processors take up to a
 * hundred times as long for them, and the moments of optimizers become subnormal sooner or later. */
#if defined(__x86_64__)
enum { COMPUTING_MODE = 0x9fc0 }; /* of MXCSR: the default, flush to zero, denormals are zeros */
uint64_t pmc_floating_mode(void) { return __builtin_ia32_stmxcsr(); }
void pmc_set_floating_mode(uint64_t mode) { __builtin_ia32_ldmxcsr((uint32_t)mode); }
#elif defined(__aarch64__)
enum { COMPUTING_MODE = 1 << 24 }; /* of FPCR: flush to zero */
uint64_t pmc_floating_mode(void) {
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
void pmc_set_floating_mode(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
enum { COMPUTING_MODE = 0 };
uint64_t pmc_floating_mode(void) { return COMPUTING_MODE; }
void pmc_set_floating_mode(uint64_t mode) { (void)mode; }
#endif

/* Sets the mode to compute in; returns what it was. */
static uint64_t begin_computing(void) {
    const uint64_t before = pmc_floating_mode();
    pmc_set_floating_mode(COMPUTING_MODE);
    return before;
}

int64_t pmc_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- how many there can be ---- */

static void *wait_until_open(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* The stack that an OpenMP runtime gives its threads, as the environment has it: a number and B, K (if none), M, G, T.
 * 0: the system's own. */
static size_t openmp_stack(void) {
    const char *text = getenv("OMP_STACKSIZE");
    if (!text) text = getenv("GOMP_STACKSIZE");
    char *unit;
    const double size = text ? strtod(text, &unit) : 0;
    if (!(size > 0)) return 0;
    while (*unit == ' ') unit++;
    const char letter = (char)(*unit & ~0x20); /* upper case */
    const double bytes = size * (letter == 'B'   ? 1
                                 : letter == 'M' ? 0x1p20
                                 : letter == 'G' ? 0x1p30
                                 : letter == 'T' ? 0x1p40
                                                 : 0x1p10);
    return bytes < 0x1p62 ? (size_t)bytes : (size_t)1 << 62;
}

/* Makes up to `wanted` threads at once, which then end; returns how many there were. */
static int64_t tried(int64_t wanted) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *threads = malloc((size_t)wanted * sizeof *threads);
    pthread_attr_t attributes;
    const size_t stack = openmp_stack();
    int64_t made = 0;
    if (!threads) return 0;
    pthread_attr_init(&attributes);
    if (stack) pthread_attr_setstacksize(&attributes, stack); /* what is refused is the system's own, there as here */
    pthread_mutex_lock(&gate);
    while (made < wanted && !pthread_create(&threads[made], &attributes, wait_until_open, &gate)) made++;
    pthread_mutex_unlock(&gate);
    for (int64_t i = 0; i < made; i++) pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    free(threads);
    return made;
}

/* An OpenMP runtime that cannot make a thread ends the process: so it is tried before, once. */
int64_t pmc_usable_threads(int64_t threads) {
    static _Atomic int64_t made = 1, refused = INT64_MAX;             /* so many could be made; so many could not */
    const int64_t busy = threads < PMC_SHARDS ? threads : PMC_SHARDS; /* others are never made */
    if (busy > atomic_load(&made) && busy < atomic_load(&refused)) {
        const int64_t can = tried(busy - 1) + 1;
        if (can > atomic_load(&made)) atomic_store(&made, can);
        if (can < busy) atomic_store(&refused, can + 1);
    }
    return busy < atomic_load(&refused) ? threads : atomic_load(&refused) - 1;
}

void pmc_with_threads(int64_t threads, void (*body)(void *context, pmc_team *team), void *context) {
#ifdef _OPENMP
    threads = forked ? 1 : pmc_usable_threads(threads < PMC_SHARDS ? threads : PMC_SHARDS);
    const int64_t start = threads > 1 ? pmc_nanoseconds() : 0;
    if (threads > 1 && start >= atomic_load_explicit(&alone_until, memory_order_relaxed)) {
        pmc_team team = {.threads = threads};
        int64_t work = 0;
#pragma omp parallel num_threads((int)threads)
        {
            const int64_t thread = omp_get_thread_num();
            const uint64_t before = begin_computing();
            if (thread) wait_for_tasks(&team, thread);
            else {
                work = -pmc_nanoseconds();
                body(context, &team);
                work += pmc_nanoseconds();
                atomic_store_explicit(&team.closing, 1, memory_order_release);
            }
            pmc_set_floating_mode(before);
        }
        const int64_t end = pmc_nanoseconds(), around = end - start - work;
        const int64_t times = atomic_load_explicit(&alone_times, memory_order_relaxed);
        if (around > work) {
            atomic_store_explicit(&alone_until, end + times * around, memory_order_relaxed);
            if (times < ALONE) atomic_store_explicit(&alone_times, 2 * times, memory_order_relaxed);
        } else if (times > 1) atomic_store_explicit(&alone_times, times / 2, memory_order_relaxed);
        return;
    }
#else
    (void)threads;
#endif
    const uint64_t before = begin_computing();
    body(context, NULL);
    pmc_set_floating_mode(before);
}

int64_t pmc_default_threads(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

/* Whose function it is that we call: any runtime can be put in another's place. */
const char *pmc_openmp_runtime(void) {
#ifdef _OPENMP
    Dl_info found;
    if (!dladdr((void *)(uintptr_t)omp_get_max_threads, &found) || !found.dli_fname) return "unknown";
    const char *slash = strrchr(found.dli_fname, '/');
    return slash ? slash + 1 : found.dli_fname;
#else
    return "none (built without OpenMP)";
#endif
}
