/* Batch norm (Ioffe and Szegedy, 2015), one vector of channels at a time: lanes from channel c on.
 *
 *   y = (x - mean) * inverse * w + b,   inverse = 1 / sqrt(variance + epsilon)
 *
 * Moments are taken sample by sample and merged over the batch in its order (Chan, Golub, LeVeque, 1983), so that no
 * thread matters. Sums are of distances from a first value, and then from the mean: an offset costs no digits, and
 * equal values have variance 0. Each row of pixels, and each stretch of samples, is summed by itself: errors grow
 * with the root of a number of numbers. */
#pragma once
#include "vectors.h"

/* Where channel c of the pixels of a row, and of all rows, of an image's inside lies: call what follows with `at`. */
#define FOR_ROW(image, row, at)                                                                                        \
    for (int64_t at = ((image)->top + (row)) * pmc_image_pitch(image) + (image)->left * (image)->c,                    \
                 end = at + (image)->w * (image)->c;                                                                   \
         at < end; at += (image)->c)
#define FOR_PIXELS(image, at)                                                                                          \
    for (int64_t row = 0; row < (image)->h; row++) FOR_ROW(image, row, at)

/* Samples that are summed by themselves: about the root of n. */
INLINE int64_t samples_together(int64_t n) {
    int64_t together = 16;
    while (together * together < n) together *= 2;
    return together;
}

/* Lanes from channel c on that are there: rows are padded. */
INLINE int64_t channels_from(const pmc_norm *s, int64_t c) { return MAX(0, s->image.c - c); }

INLINE real norm_pixels(const pmc_norm *s) { return (real)(s->image.h * s->image.w); }

/* A mean, what is missing of it (less than its last digit), and the root of the mean squared distance from it. */
typedef struct {
    vf mean, rest, deviation;
} vf_moments;

/* Where squares or sums are too large for a real, all is taken so many times smaller, which is exact. */
#define SMALLER ((real)(PMC_DOUBLE ? 0x1p-600 : 0x1p-70))

/* Of values at a mean distance of `rest` and a mean squared one of `squares` from their mean. */
INLINE vf_moments vf_moments_of(vf mean, vf rest, vf squares) {
    const vf variance = squares - rest * rest;
    return (vf_moments){mean, rest, v_sqrt(v_select(variance < 0, (vf){0}, variance))};
}

INLINE int are_finite(vf_moments m) { return all_finite(v_finite(m.mean) + v_finite(m.deviation)); }
INLINE vf_moments larger(vf_moments m) {
    return (vf_moments){m.mean / SMALLER, m.rest / SMALLER, m.deviation / SMALLER};
}
INLINE vf_moments finite_or(vf_moments m, vf_moments otherwise) {
    const vi fine = v_finite(m.mean) + v_finite(m.deviation) == 0;
    return (vf_moments){v_select(fine, m.mean, otherwise.mean), v_select(fine, m.rest, otherwise.rest),
                        v_select(fine, m.deviation, otherwise.deviation)};
}

/* Of scale * x: of a sample's pixels */
INLINE vf_moments sample_moments(const real *x, const pmc_norm *s, int64_t c, real scale) {
    const int64_t n = channels_from(s, c);
    const vf by = v_splat(scale);
    vf first = (vf){0}, sum = (vf){0}, off = (vf){0}, squares = (vf){0};
    FOR_ROW(&s->image, 0, at) {
        first = v_load_n(x + at + c, n) * by;
        break;
    }
    for (int64_t row = 0; row < s->image.h; row++) {
        vf of_row = (vf){0};
        FOR_ROW(&s->image, row, at) of_row += v_fma(v_load_n(x + at + c, n), by, -first);
        sum += of_row;
    }
    const vf mean = first + sum / norm_pixels(s);
    for (int64_t row = 0; row < s->image.h; row++) {
        vf off_row = (vf){0}, of_row = (vf){0};
        FOR_ROW(&s->image, row, at) {
            const vf distance = v_fma(v_load_n(x + at + c, n), by, -mean);
            off_row += distance;
            of_row = v_fma(distance, distance, of_row);
        }
        off += off_row, squares += of_row;
    }
    return vf_moments_of(mean, off / norm_pixels(s), squares / norm_pixels(s));
}

/* moments [PMC_MOMENTS_ROWS][c, padded] of a sample */
INLINE void moments_of(real *moments, const real *x, const pmc_norm *s, int64_t c) {
    const int64_t row = pmc_padded(s->image.c);
    vf_moments m = sample_moments(x, s, c, 1);
    if (!are_finite(m)) m = finite_or(m, larger(sample_moments(x, s, c, SMALLER)));
    v_store(moments + PMC_MOMENTS_MEAN * row + c, m.mean);
    v_store(moments + PMC_MOMENTS_REST * row + c, m.rest);
    v_store(moments + PMC_MOMENTS_DEVIATION * row + c, m.deviation);
}

/* statistics: all rows but the shift, from the mean, what is missing of it, and inverse */
INLINE void statistics_of(real *statistics, int64_t c, vf mean, vf rest, vf inverse, const real *w, const real *b,
                          const pmc_norm *s) {
    const int64_t row = pmc_padded(s->image.c);
    v_store(statistics + PMC_NORM_MEAN * row + c, mean);
    v_store(statistics + PMC_NORM_INVERSE * row + c, inverse);
    const vf scale = w ? inverse * v_load(w + c) : inverse;
    v_store(statistics + PMC_NORM_SCALE * row + c, scale);
    v_store(statistics + PMC_NORM_BIAS * row + c, v_fma(-rest, scale, b ? v_load(b + c) : (vf){0}));
}

/* Of scale * x: of a batch, from its samples' moments [n][PMC_MOMENTS_ROWS][c, padded] */
INLINE vf_moments batch_moments(const real *moments, int64_t row, int64_t n, int64_t c, real scale) {
    const int64_t stretch = samples_together(n);
    const vf by = v_splat(scale), first = v_load(moments + c) * by;
    vf sum = (vf){0}, off = (vf){0}, squares = (vf){0};
    for (int64_t i = 0; i < n;) {
        vf part = (vf){0};
        for (const int64_t end = MIN(n, i + stretch); i < end; i++) {
            const real *of = moments + PMC_MOMENTS_ROWS * i * row + c;
            part += v_fma(v_load(of + PMC_MOMENTS_MEAN * row), by, -first) + v_load(of + PMC_MOMENTS_REST * row) * by;
        }
        sum += part;
    }
    const vf mean = first + sum / (real)n;
    for (int64_t i = 0; i < n;) {
        vf off_part = (vf){0}, part = (vf){0};
        for (const int64_t end = MIN(n, i + stretch); i < end; i++) {
            const real *of = moments + PMC_MOMENTS_ROWS * i * row + c;
            const vf distance =
                v_fma(v_load(of + PMC_MOMENTS_MEAN * row), by, -mean) + v_load(of + PMC_MOMENTS_REST * row) * by;
            const vf deviation = v_load(of + PMC_MOMENTS_DEVIATION * row) * by;
            off_part += distance;
            part = v_fma(distance, distance, v_fma(deviation, deviation, part));
        }
        off += off_part, squares += part;
    }
    return vf_moments_of(mean, off / (real)n, squares / (real)n);
}

/* Merges the samples' moments, and gives them a share `fresh` of the running ones (with the unbiased variance, as
 * PyTorch does); returns 1 if these are finite. */
INLINE int merged_statistics(real *statistics, const real *moments, const real *w, const real *b, real *running,
                             const pmc_norm *s, int64_t n, int64_t c, real fresh) {
    const int64_t row = pmc_padded(s->image.c);
    const real count = norm_pixels(s) * (real)n;
    vf_moments m = batch_moments(moments, row, n, c, 1);
    if (!are_finite(m)) m = finite_or(m, larger(batch_moments(moments, row, n, c, SMALLER)));
    const vf variance = m.deviation * m.deviation;
    /* of a variance that is too large, or so small that it is 0, the root is still known */
    const vf root = v_sqrt(variance + (real)s->epsilon);
    const vf inverse = 1 / v_select(v_finite(root) == 0, root, m.deviation);
    statistics_of(statistics, c, m.mean, m.rest, inverse, w, b, s);
    const vf old = v_load(running + c), old_variance = v_load(running + row + c);
    const vf mean = v_fma(v_splat(fresh), m.mean, old * (1 - fresh));
    const vf unbiased = variance * (count > 1 ? count / (count - 1) : 1);
    const vf spread = v_fma(v_splat(fresh), unbiased, old_variance * (1 - fresh));
    v_store_n(running + c, mean, channels_from(s, c));
    v_store_n(running + row + c, spread, channels_from(s, c));
    return all_finite(v_keep_n(v_finite(mean) + v_finite(spread), channels_from(s, c)));
}

/* The running moments' statistics; shift: what the norm after a convolution with conv_bias adds, so that
 * conv(x) * scale + shift is all of it. */
INLINE void folded_statistics(real *statistics, const real *w, const real *b, const real *running,
                              const real *conv_bias, const pmc_norm *s, int64_t c) {
    const int64_t row = pmc_padded(s->image.c);
    const vf inverse = 1 / v_sqrt(v_load(running + row + c) + (real)s->epsilon);
    statistics_of(statistics, c, v_load(running + c), (vf){0}, inverse, w, b, s);
    const vf scale = v_load(statistics + PMC_NORM_SCALE * row + c);
    const vf start = conv_bias ? v_load(conv_bias + c) : (vf){0};
    v_store(statistics + PMC_NORM_SHIFT * row + c,
            v_fma(start - v_load(running + c), scale, v_load(statistics + PMC_NORM_BIAS * row + c)));
}

INLINE vf normed(vf x, vf mean, vf scale, vf bias) { return v_fma(x - mean, scale, bias); }

/* y of x, from statistics of its channels */
INLINE vf norm_at(vf x, vf mean, vf scale, vf bias, const pmc_norm *s) {
    const vf y = normed(x, mean, scale, bias);
    return s->rectified ? v_select(y <= 0, (vf){0}, y) : y;
}
/* The gradient that passes the ReLU. */
INLINE vf norm_dy(vf dy, vf x, vf mean, vf scale, vf bias, const pmc_norm *s) {
    return s->rectified ? v_select(normed(x, mean, scale, bias) <= 0, (vf){0}, dy) : dy;
}

/* sums [2][c, padded] of a sample: dy, and dy * (x - mean) * inverse */
INLINE void gradient_sums_of(real *sums, const real *dy, const real *x, const real *statistics, const pmc_norm *s,
                             int64_t c) {
    const int64_t row = pmc_padded(s->image.c);
    const vf mean = v_load(statistics + PMC_NORM_MEAN * row + c);
    const vf inverse = v_load(statistics + PMC_NORM_INVERSE * row + c);
    const vf scale = v_load(statistics + PMC_NORM_SCALE * row + c), bias = v_load(statistics + PMC_NORM_BIAS * row + c);
    vf sum = (vf){0}, along = (vf){0};
    for (int64_t i = 0; i < s->image.h; i++) {
        vf sum_row = (vf){0}, along_row = (vf){0};
        FOR_ROW(&s->image, i, at) {
            const vf value = v_load_n(x + at + c, channels_from(s, c));
            const vf gradient = norm_dy(v_load_n(dy + at + c, channels_from(s, c)), value, mean, scale, bias, s);
            sum_row += gradient;
            along_row = v_fma(gradient, (value - mean) * inverse, along_row);
        }
        sum += sum_row, along += along_row;
    }
    v_store(sums + c, sum);
    v_store(sums + row + c, along);
}

/* means [2][c, padded] of both sums over the batch; dw and db, or NULL */
INLINE void merged_gradient(real *means, real *dw, real *db, const real *sums, const pmc_norm *s, int64_t n,
                            int64_t c) {
    const int64_t row = pmc_padded(s->image.c), stretch = samples_together(n);
    const real count = norm_pixels(s) * (real)n;
    vf sum = (vf){0}, along = (vf){0};
    for (int64_t i = 0; i < n;) {
        vf sum_part = (vf){0}, along_part = (vf){0};
        for (const int64_t end = MIN(n, i + stretch); i < end; i++) {
            sum_part += v_load(sums + 2 * i * row + c);
            along_part += v_load(sums + (2 * i + 1) * row + c);
        }
        sum += sum_part, along += along_part;
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
