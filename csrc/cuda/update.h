/* Device kernels of the updates: optimizer.h, a thread an element. */
#pragma once
#include "grid.h"
#include "../kernels/optimizer.h"

/* g: the gradient of the whole model */
static int64_t gradient_squares_blocks(const pmc_job *j) {
    return pmc_blocks(j->op.shape.parameter.elements, PMC_SQUARES);
}
BLOCK gradient_squares_block(const pmc_job *j, int64_t block) {
    SHARED double partial[THREADS];
    FOR_THREADS(t) {
        const int64_t first = block * PMC_SQUARES, last = MIN(first + PMC_SQUARES, j->model_elements);
        double sum = 0;
        for (int64_t e = first + t; e < last; e += THREADS) {
            const double g = (double)((const real *)j->ref[1])[e];
            sum += g * g;
        }
        partial[t] = sum;
    }
    for (int half = THREADS / 2; half; half /= 2) {
        FOR_THREADS(t) {
            if (t < half) partial[t] += partial[t + half];
        }
    }
    FOR_THREADS(t) {
        if (t == 0) ((double *)j->ref[0])[block] = partial[0];
    }
}
DEVICE_KERNEL(gradient_squares)

/* An element: its shards' gradients are added up, and it is updated unless a step before went wrong. */
KERNEL void update_element(const pmc_job *j, int64_t e, double clip) {
    pmc_step *step = j->step;
    real *w = (real *)j->ref[0], *g = (real *)j->ref[1] + e;
    if (j->ref[2]) reduce(g, (const real *)j->ref[2] + e, j->shard_elements, j->shards, 1);
    if (w && step->bad_step == INT64_MAX && !updated(step, w + e, g, clip, 1)) name_bad_layer(j);
}

static int64_t update_blocks(const pmc_job *j) { return blocks_of(j->op.shape.parameter.elements, THREADS); }
BLOCK update_block(const pmc_job *j, int64_t block) {
    SHARED double clip[1];
    FOR_THREADS(t) {
        if (t == 0) clip[0] = clip_of(j->step, (const double *)j->ref[3], blocks_of(j->model_elements, PMC_SQUARES));
    }
    FOR_THREADS(t) {
        const int64_t e = block * THREADS + t;
        if (e < j->op.shape.parameter.elements) update_element(j, e, clip[0]);
    }
}
DEVICE_KERNEL(update)
