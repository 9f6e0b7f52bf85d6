/* Batch norm: moments.h over all samples and channels. */
#pragma once
#include "images.h"
#include "moments.h"

/* moments [n][PMC_MOMENTS_ROWS][c, padded] */
static void norm_moments(real *moments, const real *x, const pmc_norm *s, int64_t n) {
    const int64_t row = pmc_padded(s->image.c);
    for (int64_t i = 0; i < n; i++, x += pmc_image_stride(&s->image), moments += PMC_MOMENTS_ROWS * row)
        for (int64_t c = 0; c < row; c += VL) moments_of(moments, x, s, c);
}

/* returns 1 if the running moments are finite */
static int norm_statistics(real *statistics, const real *moments, const real *w, const real *b, real *running,
                           const pmc_norm *s, int64_t n) {
    const int64_t row = pmc_padded(s->image.c);
    real *steps = running + 2 * row;
    *steps += 1;
    const real fresh = s->momentum < 0 ? 1 / *steps : (real)s->momentum;
    int finite = 1;
    for (int64_t c = 0; c < row; c += VL)
        finite &= merged_statistics(statistics, moments, w, b, running, s, n, c, fresh);
    return finite;
}

static void norm_fold(real *statistics, const real *w, const real *b, const real *running, const real *conv_bias,
                      const pmc_norm *s) {
    for (int64_t c = 0; c < pmc_padded(s->image.c); c += VL)
        folded_statistics(statistics, w, b, running, conv_bias, s, c);
}

/* y and x images of one shape */
static void norm_apply(real *y, const real *x, const real *statistics, const pmc_norm *s, int64_t n) {
    const int64_t row = pmc_padded(s->image.c), stride = pmc_image_stride(&s->image);
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        image_clear_border(y, &s->image);
        for (int64_t c = 0; c < row; c += VL) {
            const vf mean = v_load(statistics + PMC_NORM_MEAN * row + c);
            const vf scale = v_load(statistics + PMC_NORM_SCALE * row + c);
            const vf bias = v_load(statistics + PMC_NORM_BIAS * row + c);
            FOR_PIXELS(&s->image, at)
            v_store_n(y + at + c, norm_at(v_load(x + at + c), mean, scale, bias, s), channels_from(s, c));
        }
    }
}

/* sums [n][2][c, padded] */
static void norm_gradient_sums(real *sums, const real *dy, const real *x, const real *statistics, const pmc_norm *s,
                               int64_t n) {
    const int64_t row = pmc_padded(s->image.c), stride = pmc_image_stride(&s->image);
    for (int64_t i = 0; i < n; i++, dy += stride, x += stride, sums += 2 * row)
        for (int64_t c = 0; c < row; c += VL) gradient_sums_of(sums, dy, x, statistics, s, c);
}

static void norm_gradient(real *means, real *dw, real *db, const real *sums, const pmc_norm *s, int64_t n) {
    for (int64_t c = 0; c < pmc_padded(s->image.c); c += VL) merged_gradient(means, dw, db, sums, s, n, c);
}

/* dx may be dy */
static void norm_input_gradient(real *dx, const real *dy, const real *x, const real *statistics, const real *means,
                                const pmc_norm *s, int64_t n) {
    const int64_t row = pmc_padded(s->image.c), stride = pmc_image_stride(&s->image);
    for (int64_t i = 0; i < n; i++, dx += stride, dy += stride, x += stride)
        for (int64_t c = 0; c < row; c += VL) {
            const vf mean = v_load(statistics + PMC_NORM_MEAN * row + c);
            const vf inverse = v_load(statistics + PMC_NORM_INVERSE * row + c);
            const vf scale = v_load(statistics + PMC_NORM_SCALE * row + c);
            const vf bias = v_load(statistics + PMC_NORM_BIAS * row + c);
            const vf level = v_load(means + c), slope = v_load(means + row + c);
            FOR_PIXELS(&s->image, at) {
                const vf value = v_load(x + at + c);
                const vf gradient = norm_dy(v_load(dy + at + c), value, mean, scale, bias, s);
                v_store_n(dx + at + c, norm_gradient_at(gradient, value, mean, inverse, scale, level, slope),
                          channels_from(s, c));
            }
        }
}
