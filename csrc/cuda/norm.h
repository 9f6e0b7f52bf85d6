/* Device kernels of batch norm: moments.h, a thread a channel. */
#pragma once
#include "grid.h"
#include "../kernels/moments.h"

INLINE int64_t channels_of(const pmc_job *j) { return pmc_padded(j->op.shape.norm.image.c); }
INLINE int64_t norm_elements(const pmc_job *j) { return image_elements(&j->op.shape.norm.image); }
#define norm_moments_items channels_of
#define norm_gradient_sums_items channels_of
#define norm_gradient_items channels_of
#define norm_fold_items channels_of
#define norm_apply_items norm_elements
#define norm_input_gradient_items norm_elements

KERNEL void norm_moments_item(const pmc_job *j, int64_t sample, int64_t c) {
    const pmc_norm *s = &j->op.shape.norm;
    moments_of(SAMPLE(0, sample, PMC_MOMENTS_ROWS * channels_of(j)), SAMPLE(1, sample, pmc_image_stride(&s->image)), s,
               c);
}
PER_SAMPLE(norm_moments)

/* One block: the count of steps goes up when all channels have seen it. */
static int64_t norm_statistics_blocks(const pmc_job *j) { return j->n > 0; }
BLOCK norm_statistics_block(const pmc_job *j, int64_t block) {
    const pmc_norm *s = &j->op.shape.norm;
    real *running = (real *)j->ref[4], *steps = running + 2 * channels_of(j);
    FOR_THREADS(t) {
        const real fresh = s->momentum < 0 ? 1 / (*steps + 1) : (real)s->momentum;
        for (int64_t c = t + block; c < channels_of(j); c += THREADS)
            if (!merged_statistics((real *)j->ref[0], (const real *)j->ref[1], (const real *)j->ref[2],
                                   (const real *)j->ref[3], running, s, j->n, c, fresh))
                name_bad_layer(j);
    }
    FOR_THREADS(t) {
        if (t == 0) *steps += 1;
    }
}
DEVICE_KERNEL(norm_statistics)

KERNEL void norm_fold_item(const pmc_job *j, int64_t copy, int64_t c) {
    (void)copy;
    folded_statistics((real *)j->ref[0], (const real *)j->ref[1], (const real *)j->ref[2], (const real *)j->ref[3],
                      (const real *)j->ref[4], &j->op.shape.norm, c);
}
ALONE(norm_fold)

/* Row `which` of the statistics, for the channel of element e. */
INLINE real statistic(const real *statistics, int which, const pmc_norm *s, int64_t e) {
    return statistics[which * pmc_padded(s->image.c) + (int32_t)e % (int32_t)s->image.c];
}

KERNEL void norm_apply_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_norm *s = &j->op.shape.norm;
    const int64_t stride = pmc_image_stride(&s->image), at = inside(&s->image, e);
    const real *all = (const real *)j->ref[2];
    SAMPLE(0, sample, stride)
    [at] = norm_at(SAMPLE(1, sample, stride)[at], statistic(all, PMC_NORM_MEAN, s, e),
                   statistic(all, PMC_NORM_SCALE, s, e), statistic(all, PMC_NORM_BIAS, s, e), s);
}
PER_SAMPLE(norm_apply)

KERNEL void norm_gradient_sums_item(const pmc_job *j, int64_t sample, int64_t c) {
    const pmc_norm *s = &j->op.shape.norm;
    const int64_t stride = pmc_image_stride(&s->image);
    gradient_sums_of(SAMPLE(0, sample, 2 * channels_of(j)), SAMPLE(1, sample, stride), SAMPLE(2, sample, stride),
                     (const real *)j->ref[3], s, c);
}
PER_SAMPLE(norm_gradient_sums)

KERNEL void norm_gradient_item(const pmc_job *j, int64_t copy, int64_t c) {
    (void)copy;
    merged_gradient((real *)j->ref[0], (real *)j->ref[1], (real *)j->ref[2], (const real *)j->ref[3], &j->op.shape.norm,
                    j->n, c);
}
ALONE(norm_gradient)

KERNEL void norm_input_gradient_item(const pmc_job *j, int64_t sample, int64_t e) {
    const pmc_norm *s = &j->op.shape.norm;
    const int64_t stride = pmc_image_stride(&s->image), at = inside(&s->image, e);
    const int64_t channel = (int32_t)e % (int32_t)s->image.c;
    const real *all = (const real *)j->ref[3], *means = (const real *)j->ref[4];
    const real mean = statistic(all, PMC_NORM_MEAN, s, e), scale = statistic(all, PMC_NORM_SCALE, s, e);
    const real x = SAMPLE(2, sample, stride)[at];
    const real dy = norm_dy(SAMPLE(1, sample, stride)[at], x, mean, scale, statistic(all, PMC_NORM_BIAS, s, e), s);
    SAMPLE(0, sample, stride)
    [at] = norm_gradient_at(dy, x, mean, statistic(all, PMC_NORM_INVERSE, s, e), scale, means[channel],
                            means[channels_of(j) + channel]);
}
PER_SAMPLE(norm_input_gradient)
