/* Softmax and log-softmax of images, over the scores along one axis: along channels, which follow each other, a vector
 * holds scores of one pixel; along rows or columns it holds one score of several pixels. Sums are of 16 partials. */
#pragma once
#include "images.h"

/* ---- scores that follow each other ---- */

INLINE int64_t largest(const real *z, int64_t classes) {
    int64_t best = 0;
    for (int64_t i = 1; i < classes; i++)
        if (z[i] > z[best]) best = i;
    return best;
}

/* y <- exp(z - top); returns the sum. */
INLINE real softmax_exponentials(real *y, const real *z, real top, int64_t classes) {
    vf partial[PARTS] = {0};
    for (int64_t e = 0; e < classes; e += PMC_PAD)
        for (int p = 0; p < PARTS; p++) {
            const int64_t left = MAX(0, classes - e - p * VL);
            const vf value = v_keep_n(v_exp(v_load(z + e + p * VL) - top), left);
            v_store_n(y + e + p * VL, value, left);
            partial[p] += value;
        }
    return sum_partials(partial);
}

INLINE void softmax_along(real *y, const real *x, int64_t classes) {
    const real sum = softmax_exponentials(y, x, x[largest(x, classes)], classes);
    for (int64_t e = 0; e < classes; e++) y[e] /= sum;
}

/* dz = y * (dy - sum of dy * y) */
INLINE void softmax_gradient_along(real *dy, const real *y, int64_t classes) {
    vf partial[PARTS] = {0};
    for (int64_t e = 0; e < classes; e += PMC_PAD)
        for (int p = 0; p < PARTS; p++) {
            const int64_t left = MAX(0, classes - e - p * VL);
            partial[p] = v_fma(v_load_n(dy + e + p * VL, left), v_load(y + e + p * VL), partial[p]);
        }
    const real sum = sum_partials(partial);
    for (int64_t e = 0; e < classes; e++) dy[e] = y[e] * (dy[e] - sum);
}

/* y = x - log(sum exp x) */
INLINE void log_softmax_along(real *y, const real *x, int64_t classes) {
    const real top = x[largest(x, classes)];
    const real log_sum = v_first(v_log(v_splat(softmax_exponentials(y, x, top, classes))));
    for (int64_t e = 0; e < classes; e++) y[e] = x[e] - top - log_sum;
}

/* dz = dy - exp(y) * sum of dy */
INLINE void log_softmax_gradient_along(real *dy, const real *y, int64_t classes) {
    vf partial[PARTS] = {0};
    for (int64_t e = 0; e < classes; e += PMC_PAD)
        for (int p = 0; p < PARTS; p++) partial[p] += v_load_n(dy + e + p * VL, MAX(0, classes - e - p * VL));
    const vf sum = v_splat(sum_partials(partial));
    for (int64_t e = 0; e < classes; e += VL)
        v_store_n(dy + e, v_load(dy + e) - v_exp(v_load(y + e)) * sum, classes - e);
}

/* ---- scores of pixels side by side ---- */

/* n scores of each, `step` apart; `lanes` pixels, of which a vector takes the first. */
typedef struct {
    int64_t n, step, lanes;
} beside;

INLINE vf largest_across(const real *x, const beside *b) {
    vf top = v_load(x);
    for (int64_t i = 1; i < b->n; i++) {
        const vf value = v_load(x + i * b->step);
        top = v_select(value > top, value, top);
    }
    return top;
}

INLINE vf sum_across(vf partial[PMC_PAD]) {
    for (int half = PMC_PAD / 2; half; half /= 2)
        for (int i = 0; i < half; i++) partial[i] += partial[i + half];
    return partial[0];
}

INLINE void softmax_across(real *y, const real *x, const beside *b) {
    const vf top = largest_across(x, b);
    vf partial[PMC_PAD] = {0};
    for (int64_t i = 0; i < b->n; i++) {
        const vf value = v_exp(v_load(x + i * b->step) - top);
        v_store_n(y + i * b->step, value, b->lanes);
        partial[i % PMC_PAD] += value;
    }
    const vf sum = sum_across(partial);
    for (int64_t i = 0; i < b->n; i++) v_store_n(y + i * b->step, v_load(y + i * b->step) / sum, b->lanes);
}

INLINE void softmax_gradient_across(real *dy, const real *y, const beside *b) {
    vf partial[PMC_PAD] = {0};
    for (int64_t i = 0; i < b->n; i++)
        partial[i % PMC_PAD] = v_fma(v_load(dy + i * b->step), v_load(y + i * b->step), partial[i % PMC_PAD]);
    const vf sum = sum_across(partial);
    for (int64_t i = 0; i < b->n; i++)
        v_store_n(dy + i * b->step, v_load(y + i * b->step) * (v_load(dy + i * b->step) - sum), b->lanes);
}

INLINE void log_softmax_across(real *y, const real *x, const beside *b) {
    const vf top = largest_across(x, b);
    vf partial[PMC_PAD] = {0};
    for (int64_t i = 0; i < b->n; i++) partial[i % PMC_PAD] += v_exp(v_load(x + i * b->step) - top);
    const vf log_sum = v_log(sum_across(partial));
    for (int64_t i = 0; i < b->n; i++) v_store_n(y + i * b->step, v_load(x + i * b->step) - top - log_sum, b->lanes);
}

INLINE void log_softmax_gradient_across(real *dy, const real *y, const beside *b) {
    vf partial[PMC_PAD] = {0};
    for (int64_t i = 0; i < b->n; i++) partial[i % PMC_PAD] += v_load(dy + i * b->step);
    const vf sum = sum_across(partial);
    for (int64_t i = 0; i < b->n; i++)
        v_store_n(dy + i * b->step, v_load(dy + i * b->step) - v_exp(v_load(y + i * b->step)) * sum, b->lanes);
}

/* ---- images ---- */

/* Each place of an image where scores begin: `width` of them are side by side, in each of `rows`. */
typedef struct {
    int64_t rows, width, n, step;
} places;

INLINE places places_of(const pmc_softmax *s) {
    const pmc_image *image = &s->image;
    if (s->axis == PMC_ALONG_ROWS) return (places){1, image->w * image->c, image->h, pmc_image_pitch(image)};
    if (s->axis == PMC_ALONG_COLUMNS) return (places){image->h, image->c, image->w, image->c};
    return (places){image->h, image->w * image->c, image->c, 1};
}

#define SOFTMAX_OF(name, to, from)                                                                                     \
    KERNEL void name##_image(real *to, const real *from, const pmc_softmax *s) {                                       \
        const places p = places_of(s);                                                                                 \
        for (int64_t row = 0; row < p.rows; row++) {                                                                   \
            const int64_t at = image_start(&s->image) + row * pmc_image_pitch(&s->image);                              \
            if (s->axis == PMC_ALONG_CHANNELS)                                                                         \
                for (int64_t e = 0; e < p.width; e += p.n) name##_along(to + at + e, from + at + e, p.n);              \
            else                                                                                                       \
                for (int64_t e = 0; e < p.width; e += VL) {                                                            \
                    const beside b = {p.n, p.step, p.width - e};                                                       \
                    name##_across(to + at + e, from + at + e, &b);                                                     \
                }                                                                                                      \
        }                                                                                                              \
    }
SOFTMAX_OF(softmax, y, x)
SOFTMAX_OF(log_softmax, y, x)
SOFTMAX_OF(softmax_gradient, dy, y)
SOFTMAX_OF(log_softmax_gradient, dy, y)

/* y may be x, but for the logarithm; gradients are in place. */
#define SOFTMAX_KERNELS(name)                                                                                          \
    KERNEL void name##_forward(real *y, const real *x, const pmc_softmax *s, int64_t n) {                              \
        const int64_t stride = pmc_image_stride(&s->image);                                                            \
        for (int64_t i = 0; i < n; i++, y += stride, x += stride) {                                                    \
            image_clear_border(y, &s->image);                                                                          \
            name##_image(y, x, s);                                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    KERNEL void name##_backward(real *dy, const real *y, const pmc_softmax *s, int64_t n) {                            \
        const int64_t stride = pmc_image_stride(&s->image);                                                            \
        for (int64_t i = 0; i < n; i++, dy += stride, y += stride) name##_gradient_image(dy, y, s);                    \
    }
SOFTMAX_KERNELS(softmax)
SOFTMAX_KERNELS(log_softmax)
