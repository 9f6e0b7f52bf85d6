/* What backends know of plans. A backend runs plans on a kind of device: cpu.c on the processor, cuda/backend.c on
 * another device. */
#pragma once

#include "kernels.h"
#include "pmc.h"

/* `new` allocates the plan's memory, which the others then use; it may leave a part of it when it fails. */
typedef struct {
    pmc_status (*new)(pmc_plan *plan);
    void (*free)(pmc_plan *plan);
    pmc_status (*fill)(pmc_plan *plan, int byte);
    pmc_status (*peek)(pmc_plan *plan, void *to, int64_t offset, int64_t bytes);
    pmc_status (*run)(pmc_plan *plan, pmc_program_kind program, pmc_run_args *args);
} pmc_backend;

typedef struct pmc_device pmc_device;

struct pmc_target {
    const char *device, *isa, *precision;
    const pmc_backend *backend;
    const pmc_kernels *kernels[PMC_DTYPES]; /* of the processor */
    const pmc_device *on;                   /* another device */
    int (*usable)(void);                    /* can this processor (and its operating system) run the kernels? */
    int pairs;                              /* do they pack factors of products to bfloat16, two in a word? */
    int (*slow)(void);                      /* are products of another target, with its precision, as fast? or NULL */
};

struct pmc_plan {
    const pmc_target *target;
    pmc_plan_sizes sizes;
    pmc_op *ops;
    pmc_extent (*extents)[PMC_REFS]; /* of each op's references */
    pmc_phase *phases;
    pmc_program programs[PMC_PROGRAMS];
    void *memory; /* the backend's */
};

extern const pmc_backend pmc_cpu_backend, pmc_device_backend;

/* Is the run to stop? The caller is asked some ten times a second, and only by its own thread. */
int pmc_stopping(pmc_run_args *args, int callers_thread);

/* Are a program's outputs compared with labels or targets? */
PMC_INLINE int pmc_has_loss(pmc_program_kind program) { return program == PMC_TRAIN || program == PMC_EVALUATE; }

/* What the mean loss of the step of n samples from `start` on is divided by: n, or the weights of the samples and of
 * their classes, which count where each sample has one label. */
double pmc_step_weight(const pmc_step *step, int64_t start, int64_t n);
