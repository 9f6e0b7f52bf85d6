/* Sums of gradients and updates, as operations. */
#include "optimizer.h"
#include "operation.h"

KERNEL_OF(gradient_squares) {
    const int64_t skip = t->part * PMC_SQUARES, count = MIN(PMC_SQUARES, t->op->shape.parameter.elements - skip);
    ((double *)REF(0))[t->part] = sum_of_squares((real *)REF(1) + skip, count);
    return 1;
}
KERNEL_OF(update) {
    const int64_t skip = t->part * PMC_UPDATED, count = MIN(PMC_UPDATED, t->op->shape.parameter.elements - skip);
    real *w = REF(0), *g = (real *)REF(1) + skip, *shards = REF(2);
    if (shards) reduce(g, shards + skip, t->shard_elements, t->shards, count);
    if (!w) return 1;
    return updated(t->step, w + skip, g, clip_of(t->step, REF(3), pmc_blocks(t->model_elements, PMC_SQUARES)), count);
}
