/* Batch norm (Ioffe and Szegedy, 2015), one vector of channels at a time: lanes from channel c on. Moments are taken
 * sample by sample and merged over the batch in its order (Chan, Golub, LeVeque, 1983): no sum of squares cancels, no
 * thread matters.
 *
 *   y = (x - mean) * inverse * w + b,   inverse = 1 / sqrt(variance + epsilon) */
#pragma once
#include "vectors.h"

/* Where channel c of a sample's pixel lies: call `body` with `at` for every pixel of the inside. */
#define FOR_PIXELS(image, at)                                                                                          \
    for (int64_t row = 0; row < (image)->h; row++)                                                                     \
        for (int64_t at = ((image)->top + row) * pmc_image_pitch(image) + (image)->left * (image)->c,                  \
                     end = at + (image)->w * (image)->c;                                                               \
             at < end; at += (image)->c)

/* Lanes from channel c on that are there: rows are padded. */
INLINE int64_t channels_from(const pmc_norm *s, int64_t c) { return MAX(0, s->image.c - c); }

INLINE real norm_pixels(const pmc_norm *s) { return (real)(s->image.h * s->image.w); }

/* moments [2][c, padded] of a sample: the mean, and the sum of squared distances from it */
INLINE void moments_of(real *moments, const real *x, const pmc_norm *s, int64_t c) {
    vf sum = (vf){0}, squares = (vf){0};
    FOR_PIXELS(&s->image, at) sum += v_load_n(x + at + c, channels_from(s, c));
    const vf mean = sum / norm_pixels(s);
    FOR_PIXELS(&s->image, at) {
        const vf distance = v_load_n(x + at + c, channels_from(s, c)) - mean;
        squares = v_fma(distance, distance, squares);
    }
    v_store(moments + c, mean);
    v_store(moments + pmc_padded(s->image.c) + c, squares);
}

/* statistics: all rows but the shift, from mean and variance */
INLINE void statistics_of(real *statistics, int64_t c, vf mean, vf variance, const real *w, const real *b,
                          const pmc_norm *s) {
    const int64_t row = pmc_padded(s->image.c);
    const vf inverse = 1 / v_sqrt(variance + (real)s->epsilon);
    v_store(statistics + PMC_NORM_MEAN * row + c, mean);
    v_store(statistics + PMC_NORM_INVERSE * row + c, inverse);
    v_store(statistics + PMC_NORM_SCALE * row + c, w ? inverse * v_load(w + c) : inverse);
    v_store(statistics + PMC_NORM_BIAS * row + c, b ? v_load(b + c) : (vf){0});
}

/* Merges the samples' moments [n][2][c, padded], and moves the running ones by `fresh` of the distance (with the
 * unbiased variance, as PyTorch does). */
INLINE void merged_statistics(real *statistics, const real *moments, const real *w, const real *b, real *running,
                              const pmc_norm *s, int64_t n, int64_t c, real fresh) {
    const int64_t row = pmc_padded(s->image.c);
    const real pixels = norm_pixels(s), count = pixels * (real)n;
    vf sum = (vf){0}, squares = (vf){0};
    for (int64_t i = 0; i < n; i++) sum += v_load(moments + 2 * i * row + c);
    const vf mean = sum / (real)n;
    for (int64_t i = 0; i < n; i++) {
        const vf distance = v_load(moments + 2 * i * row + c) - mean;
        squares = v_fma(distance * pixels, distance, squares + v_load(moments + (2 * i + 1) * row + c));
    }
    statistics_of(statistics, c, mean, squares / count, w, b, s);
    const vf unbiased = squares / (count > 1 ? count - 1 : 1), old = v_load(running + c);
    const vf old_variance = v_load(running + row + c);
    v_store_n(running + c, v_fma(v_splat(fresh), mean - old, old), channels_from(s, c));
    v_store_n(running + row + c, v_fma(v_splat(fresh), unbiased - old_variance, old_variance), channels_from(s, c));
}

/* The running moments' statistics; shift: what the norm after a convolution with conv_bias adds, so that
 * conv(x) * scale + shift is all of it. */
INLINE void folded_statistics(real *statistics, const real *w, const real *b, const real *running,
                              const real *conv_bias, const pmc_norm *s, int64_t c) {
    const int64_t row = pmc_padded(s->image.c);
    statistics_of(statistics, c, v_load(running + c), v_load(running + row + c), w, b, s);
    const vf scale = v_load(statistics + PMC_NORM_SCALE * row + c);
    const vf start = conv_bias ? v_load(conv_bias + c) : (vf){0};
    v_store(statistics + PMC_NORM_SHIFT * row + c,
            v_fma(start - v_load(running + c), scale, v_load(statistics + PMC_NORM_BIAS * row + c)));
}

INLINE vf normed(vf x, vf mean, vf scale, vf bias) { return v_fma(x - mean, scale, bias); }

/* sums [2][c, padded] of a sample: dy, and dy * (x - mean) * inverse */
INLINE void gradient_sums_of(real *sums, const real *dy, const real *x, const real *statistics, const pmc_norm *s,
                             int64_t c) {
    const int64_t row = pmc_padded(s->image.c);
    const vf mean = v_load(statistics + PMC_NORM_MEAN * row + c);
    const vf inverse = v_load(statistics + PMC_NORM_INVERSE * row + c);
    vf sum = (vf){0}, along = (vf){0};
    FOR_PIXELS(&s->image, at) {
        const vf gradient = v_load_n(dy + at + c, channels_from(s, c));
        sum += gradient;
        along = v_fma(gradient, (v_load_n(x + at + c, channels_from(s, c)) - mean) * inverse, along);
    }
    v_store(sums + c, sum);
    v_store(sums + row + c, along);
}

/* means [2][c, padded] of both sums over the batch; dw and db, or NULL */
INLINE void merged_gradient(real *means, real *dw, real *db, const real *sums, const pmc_norm *s, int64_t n,
                            int64_t c) {
    const int64_t row = pmc_padded(s->image.c);
    const real count = norm_pixels(s) * (real)n;
    vf sum = (vf){0}, along = (vf){0};
    for (int64_t i = 0; i < n; i++) {
        sum += v_load(sums + 2 * i * row + c);
        along += v_load(sums + (2 * i + 1) * row + c);
    }
    if (db) v_store_n(db + c, sum, channels_from(s, c));
    if (dw) v_store_n(dw + c, along, channels_from(s, c));
    v_store(means + c, sum / count);
    v_store(means + row + c, along / count);
}

/* scale * (dy - mean of dy - (x - mean) * inverse * mean of dy * (x - mean) * inverse); level and slope: the two means
 */
INLINE vf norm_gradient_at(vf dy, vf x, vf mean, vf inverse, vf scale, vf level, vf slope) {
    return v_fma((x - mean) * inverse, -slope, dy - level) * scale;
}
