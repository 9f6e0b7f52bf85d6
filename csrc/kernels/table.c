/* Compiled once for each ISA and dtype: -DPMC_ISA=PMC_AVX2 -DPMC_REAL=float -DPMC_DOUBLE=0, and the ISA's
 * flags. Everything here is static but the table, so that no other ISA's code can be linked in its place. */
#include "../kernels.h"

#include "simd.h"

#include "transpose.h"
#include "input.h"
#include "window.h"
#include "pool.h"
#include "rng.h"
#include "random.h"
#include "activation.h"
#include "elements.h"
#include "gemm.h"
#include "dots.h"
#include "patch.h"
#include "linear_sparse.h"
#include "linear.h"
#include "conv_pool.h"
#include "winograd.h"
#include "conv.h"
#include "conv_gradient.h"
#include "maps.h"
#include "augment.h"
#include "moments.h"
#include "norm.h"
#include "loss.h"
#include "optimizer.h"
#include "peak.h"

/* ---- how a kernel's arguments come out of a task ---- */

#define REF(i) t->ref[i]
#define SHAPE(name) &t->op->shape.name
#define RUN(name, ...)                                                                                                 \
    static int run_##name(const pmc_task *t) {                                                                         \
        name(__VA_ARGS__);                                                                                             \
        return 1;                                                                                                      \
    }

static int run_input(const pmc_task *t) {
    const pmc_transfer *s = SHAPE(transfer);
    const pmc_step *step = t->step;
    const int64_t *index = s->port == PMC_PORT_X ? pmc_step_index(step, t->first) : NULL;
    const int64_t skip = index ? 0 : (step->start + t->first) * s->image.h * s->image.w * s->image.c;
    if (s->port == PMC_PORT_DY) input_real(REF(0), step->dy + skip, NULL, s, t->n);
    else if (step->x_u8) input_u8(REF(0), step->x_u8 + skip, index, s, t->n);
    else input_real(REF(0), step->x_real + skip, index, s, t->n);
    return 1;
}
static int run_output(const pmc_task *t) {
    const pmc_transfer *s = SHAPE(transfer);
    const int64_t skip = (t->step->start + t->first) * s->image.h * s->image.w * s->image.c;
    output_real((s->port == PMC_PORT_Y ? t->step->y : t->step->dx) + skip, REF(0), s, t->n);
    return 1;
}
RUN(flatten_forward, REF(0), REF(1), SHAPE(image), t->n)
RUN(flatten_backward, REF(0), REF(1), SHAPE(image), t->n)

RUN(conv_pack, REF(0), REF(1), REF(2), SHAPE(conv), t->part)
static int run_conv_forward(const pmc_task *t) {
    const pmc_channels k = pmc_conv_channels(SHAPE(conv), t->part, t->parts);
    conv_forward(REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(conv), t->n, k.first, k.last, REF(5));
    return 1;
}
static int run_conv_weight_gradient(const pmc_task *t) {
    const pmc_channels k = pmc_conv_channels(SHAPE(conv), t->part, t->parts);
    conv_weight_gradient(REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(conv), t->n, t->opening, k.first, k.last,
                         REF(5));
    return 1;
}
RUN(conv_input_gradient, REF(0), REF(1), REF(2), REF(3), SHAPE(conv), t->n, REF(4))

RUN(pool_forward, REF(0), REF(1), REF(2), SHAPE(pool), t->n)
RUN(pool_backward, REF(0), REF(1), REF(2), SHAPE(pool), t->n)
RUN(average_forward, REF(0), REF(1), SHAPE(pool), t->n)
RUN(average_backward, REF(0), REF(1), SHAPE(pool), t->n)

RUN(linear_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n)
RUN(linear_weight_gradient, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n, t->opening)
RUN(linear_input_gradient, REF(0), REF(1), REF(2), SHAPE(linear), t->n)
RUN(linear_sparse_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n)
RUN(linear_tile_forward, REF(0), REF(1), REF(2), REF(3), SHAPE(linear), t->n, t->part)
RUN(linear_tile_input_gradient, REF(0), REF(1), REF(2), SHAPE(linear), t->n, t->part, REF(3))
static int run_linear_tile_weight_gradient(const pmc_task *t) { /* the last part is the bias */
    const pmc_linear *s = SHAPE(linear);
    const int64_t out = pmc_padded(s->out), row = t->part * PMC_TILE_BAND;
    const int bias = row >= s->in;
    real *dw = REF(0), *db = REF(1), *w = REF(4), *b = REF(5);
    linear_tile_weight_gradient(dw, db, REF(2), REF(3), s, t->n, t->part);
    if (bias) return b ? updated(t->step, b, db, 1, out) : 1;
    return w ? updated(t->step, w + row * out, dw + row * out, 1, MIN(PMC_TILE_BAND, s->in - row) * out) : 1;
}

RUN(activation_forward, REF(0), REF(1), SHAPE(elements), t->n)
RUN(activation_backward, REF(0), REF(1), SHAPE(elements), t->n)

/* Augmentation goes by the picture's index in the data set, and dropout by the position in the epoch. */
#define RANDOM pmc_step_random(t->step, t->first)
#define INDEX pmc_step_index(t->step, t->first)
RUN(dropout, REF(0), REF(1), SHAPE(dropout), t->n, RANDOM)
RUN(noise, REF(0), REF(1), SHAPE(noise), t->n, RANDOM, INDEX)
RUN(warp_forward, REF(0), REF(1), SHAPE(warp), t->n, RANDOM, INDEX, REF(2))
RUN(warp_backward, REF(0), REF(1), SHAPE(warp), t->n, RANDOM, INDEX, REF(2))

RUN(norm_moments, REF(0), REF(1), SHAPE(norm), t->n)
RUN(norm_statistics, REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(norm), t->n)
RUN(norm_fold, REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(norm))
RUN(norm_apply, REF(0), REF(1), REF(2), SHAPE(norm), t->n)
RUN(norm_gradient_sums, REF(0), REF(1), REF(2), REF(3), SHAPE(norm), t->n)
RUN(norm_gradient, REF(0), REF(1), REF(2), REF(3), SHAPE(norm), t->n)
RUN(norm_input_gradient, REF(0), REF(1), REF(2), REF(3), REF(4), SHAPE(norm), t->n)

RUN(softmax_forward, REF(0), REF(1), SHAPE(classes), t->n)
RUN(softmax_backward, REF(0), REF(1), SHAPE(classes), t->n)
RUN(log_softmax_forward, REF(0), REF(1), SHAPE(classes), t->n)
RUN(log_softmax_backward, REF(0), REF(1), SHAPE(classes), t->n)

#define RUN_LOSS(name)                                                                                                 \
    static int run_##name(const pmc_task *t) {                                                                         \
        const pmc_targets targets = targets_at(t->step, SHAPE(classes), t->first);                                     \
        name(REF(0), t->step->sample_loss + t->first, t->step->sample_correct + t->first, REF(1), &targets,            \
             SHAPE(classes), t->n);                                                                                    \
        return 1;                                                                                                      \
    }
RUN_LOSS(cross_entropy)
RUN_LOSS(likelihood)
RUN_LOSS(expected_probability)
RUN_LOSS(squared_error)

static int run_gradient_squares(const pmc_task *t) {
    const int64_t skip = t->part * PMC_SQUARES, count = MIN(PMC_SQUARES, t->op->shape.parameter.elements - skip);
    ((double *)REF(0))[t->part] = sum_of_squares((real *)REF(1) + skip, count);
    return 1;
}
static int run_update(const pmc_task *t) {
    const int64_t skip = t->part * PMC_UPDATED, count = MIN(PMC_UPDATED, t->op->shape.parameter.elements - skip);
    real *w = REF(0), *g = (real *)REF(1) + skip, *shards = REF(2);
    if (shards) reduce(g, shards + skip, t->shard_elements, t->shards, count);
    if (!w) return 1;
    return updated(t->step, w + skip, g, clip_of(t->step, REF(3), pmc_blocks(t->model_elements, PMC_SQUARES)), count);
}

static double run_fma_peak(void *sink, int64_t repeats) { return fma_peak(sink, repeats); }

extern const pmc_kernels PMC_TABLE;
#define ENTRY(NAME, name) [PMC_##NAME] = run_##name,
const pmc_kernels PMC_TABLE = {.op = {PMC_OPERATIONS(ENTRY)}, .fma_peak = run_fma_peak};
