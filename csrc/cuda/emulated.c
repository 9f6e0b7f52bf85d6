/* A device that is emulated: its memory is the processor's, its kernels run thread by thread, its graphs are lists of
 * launches. It is slow; what it is for are tests of the device kernels and of the backend where there is no GPU. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

typedef struct launch {
    const pmc_device_kernel *kernel;
    pmc_job job;
    struct launch *next;
} launch;

typedef struct {
    int recording;
    launch *first, **end;
} queue;

static pmc_status open_queue(void **out) {
    queue *q = calloc(1, sizeof *q);
    *out = q;
    return q ? PMC_OK : PMC_DEVICE_MEMORY;
}

static void forget(void *graph) {
    for (launch *this_one = graph, *next; this_one; this_one = next) next = this_one->next, free(this_one);
}

static void close_queue(void *q) {
    forget(((queue *)q)->first);
    free(q);
}

static pmc_status allocate(void **memory, int64_t bytes) {
    *memory = calloc(1, (size_t)bytes + 1);
    return *memory ? PMC_OK : PMC_DEVICE_MEMORY;
}

static pmc_status fill(void *q, void *memory, int byte, int64_t bytes) {
    (void)q;
    memset(memory, byte, (size_t)bytes);
    return PMC_OK;
}

static pmc_status copy(void *q, void *to, const void *from, int64_t bytes) {
    (void)q;
    memcpy(to, from, (size_t)bytes);
    return PMC_OK;
}

static void run(const pmc_device_kernel *kernel, const pmc_job *job) {
    const int64_t blocks = kernel->blocks(job);
    for (int64_t block = 0; block < blocks; block++) kernel->kernel(job, block);
}

static pmc_status launch_or_keep(void *opaque, const pmc_device_kernel *kernel, const pmc_job *job) {
    queue *q = opaque;
    if (!q->recording) return run(kernel, job), PMC_OK;
    launch *kept = malloc(sizeof *kept);
    if (!kept) return PMC_DEVICE_MEMORY;
    *kept = (launch){kernel, *job, NULL};
    *q->end = kept;
    q->end = &kept->next;
    return PMC_OK;
}

static pmc_status record(void *opaque) {
    queue *q = opaque;
    forget(q->first);
    q->first = NULL;
    q->end = &q->first;
    q->recording = 1;
    return PMC_OK;
}

static pmc_status recorded(void *opaque, void **graph) {
    queue *q = opaque;
    *graph = q->first;
    q->first = NULL;
    q->recording = 0;
    return PMC_OK;
}

static pmc_status replay(void *q, void *graph) {
    (void)q;
    for (const launch *this_one = graph; this_one; this_one = this_one->next) run(this_one->kernel, &this_one->job);
    return PMC_OK;
}

static pmc_status finish(void *q) { return (void)q, PMC_OK; }
static const char *error(void) { return "not enough memory"; }

static const char *problem(void) { return NULL; }

#define EMULATED(of_products)                                                                                          \
    {                                                                                                                  \
        .precision = of_products, .problem = problem, .kernel = {pmc_emulated_kernel_f32, pmc_emulated_kernel_f64},    \
        .open = open_queue, .close = close_queue, .allocate = allocate, .release = free, .fill = fill, .upload = copy, \
        .download = copy, .launch = launch_or_keep, .record = record, .recorded = recorded, .replay = replay,          \
        .forget = forget, .finish = finish, .error = error,                                                            \
    }
const pmc_device pmc_emulated_devices[PMC_PRECISIONS] = {EMULATED(PMC_FULL), EMULATED(PMC_TF32), EMULATED(PMC_BF16)};
