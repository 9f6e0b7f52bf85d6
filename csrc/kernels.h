/* What a processor's kernels are given. A kernel is one operation for one instruction set and dtype; it works on one
 * thread, allocates nothing, and knows neither threads nor files nor Python. */
#pragma once

#include "operations.h"
#include "step.h"

/* A piece of an operation: some samples of the step, or one of its parts. */
typedef struct {
    const pmc_op *op;
    void *ref[PMC_REFS]; /* of the first sample, in the copy of this shard or thread; NULL: nowhere */
    const pmc_step *step;
    int64_t first, n; /* samples of the step */
    int64_t part, parts;
    int opening;                    /* a shard's first samples: gradients are stored, later ones are added */
    int64_t shards, shard_elements; /* of the step; from one shard's gradients to the next's */
    int64_t model_elements;
} pmc_task;

/* A kernel returns 0 if it made a parameter NaN or infinite. */
typedef int pmc_kernel(const pmc_task *task);

/* For benchmarks; they return the floating-point operations done. */
typedef double pmc_peak_kernel(void *sink, int64_t repeats);
typedef double pmc_products_kernel(void *room, const pmc_linear *shape, int64_t n, int packs, int64_t repeats);

typedef struct {
    pmc_kernel *op[PMC_OP_KINDS];
    pmc_peak_kernel *fma_peak;
    pmc_products_kernel *products;
} pmc_kernels;

/* What a random stream of one sample depends on, and nothing else (Philox4x32-10). */
typedef struct {
    uint64_t seed;
    uint32_t epoch;
    uint32_t position; /* of the first sample, in the epoch's order */
} pmc_random;

/* What a loss compares outputs with: the step's labels or targets, of its samples from `first` of the run on. */
typedef struct {
    const pmc_step *step;
    int64_t first;
    double scale; /* of the gradient: one over the step's weight */
} pmc_targets;

/* The random numbers, the places in the arrays, and the numbers in the data set, of the step's samples from `first` on;
 * no numbers are those of the positions in the epoch. */
PMC_INLINE pmc_random pmc_step_random(const pmc_step *step, int64_t first) {
    const pmc_random random = {step->seed, step->epoch, step->first_position + (uint32_t)(step->start + first)};
    return random;
}
PMC_INLINE const int64_t *pmc_step_index(const pmc_step *step, int64_t first) {
    return step->index ? step->index + step->start + first : NULL;
}
PMC_INLINE const int64_t *pmc_step_numbers(const pmc_step *step, int64_t first) {
    return step->numbers ? step->numbers + step->start + first : pmc_step_index(step, first);
}
