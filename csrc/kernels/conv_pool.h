/* The output pixels of a convolution block, and what it does with the window of one: the best is kept, with its
 * window index, and activated. */
#pragma once
#include "activation.h"
#include "images.h"
#include "moments.h"

/* An output pixel of some pictures, which are walked row by row: to divide for each one takes longer. */
typedef struct {
    int64_t picture, y, x;
} out_pixel;

INLINE out_pixel out_pixel_of(const pmc_conv *s, int64_t number) {
    const int64_t row = number / s->out.w;
    return (out_pixel){row / s->out.h, row % s->out.h, number % s->out.w};
}
INLINE void next_out_pixel(out_pixel *at, const pmc_conv *s) {
    if (++at->x < s->out.w) return;
    at->x = 0;
    if (++at->y < s->out.h) return;
    at->y = 0, at->picture++;
}

/* Where in x the patch begins of a output pixel's first window index. */
INLINE int64_t conv_patch_of(const pmc_conv *s, int64_t oy, int64_t ox) {
    return oy * s->pool_h * s->stride_h * pmc_image_pitch(&s->in) + ox * s->pool_w * s->stride_w * s->in.c;
}

/* Cells begin to end - 1 of a row of output pixels. */
typedef struct {
    int32_t begin, end;
} range;

/* What a piece of the block covers: its output channels, and the output pixels of a row. */
typedef struct {
    int64_t first, last;
    range out_pixels;
} conv_part;

/* The best value so far of a window, a vector of output channels, and its window index; NaN wins: it is passed on. Where
 * there is none (`ordered`), that takes a third of the instructions. */
typedef struct {
    vf value;
    vi index;
} best_of;

INLINE best_of better(const int ordered, best_of best, best_of other) {
    const v_lanes take = ordered ? v_greater(other.value, best.value) : v_larger_or_nan(other.value, best.value);
    return (best_of){v_choose(take, other.value, best.value), v_choose_lane(take, other.index, best.index)};
}
INLINE best_of single(vf value, int index) { return (best_of){value, v_splat_lane(index)}; }

/* The best, normed by statistics [PMC_NORM_ROWS][k, padded] (or NULL) and, if that is ReLU, activated: that alone changes
 * its index. */
INLINE best_of conv_normed(const int relu, best_of best, const real *norm, const pmc_conv *s) {
    if (norm) {
        const int64_t row = pmc_padded(s->out.c);
        best.value = normed(best.value, v_load(norm + PMC_NORM_MEAN * row), v_load(norm + PMC_NORM_SCALE * row),
                            v_load(norm + PMC_NORM_BIAS * row));
    }
    if (!relu) return best;
    const v_lanes alive = v_larger_or_nan(best.value, (vf){0});
    return (best_of){v_choose(alive, best.value, (vf){0}),
                     v_choose_lane(alive, best.index, v_splat_lane(PMC_NO_GRADIENT))};
}

/* y [n], argmax [n] (or NULL) <- the best */
INLINE void conv_keep(real *y, uint8_t *argmax, best_of best, int64_t n) {
    v_store_n(y, best.value, n);
    if (argmax) v_store_bytes_n(argmax, best.index, n);
}

INLINE int conv_relu(const pmc_conv *s) { return s->activation.kind == PMC_RELU; }

/* y[ox][k], argmax[ox][k] <- the maxima of rows [pool_h][ow * pool_w][pitch], normed and, if that is ReLU, activated.
 * Returns 0 if they were taken to be ordered and something was infinite or NaN: then it has to be done again. */
INLINE int conv_pool_row(const int ordered, const int pool_h, const int pool_w, const int relu, real *y,
                         uint8_t *argmax, const real *rows, int64_t pitch, const real *norm, const pmc_conv *s,
                         const conv_part *part) {
    const int64_t k = s->out.c, row = s->out.w * pool_w * pitch, last = part->last;
    vf finite = (vf){0};
    for (int64_t ox = part->out_pixels.begin; ox < part->out_pixels.end; ox++)
        for (int64_t co = part->first; co < last; co += VL) {
            const real *window = rows + ox * pool_w * pitch + co;
            best_of best = {0};
            vf sum = (vf){0};
            for (int i = 0; i < pool_h; i++) { /* of each row by itself: comparisons need not wait for each other */
                best_of of_row = {0};
                for (int j = 0; j < pool_w; j++) {
                    const best_of here = single(v_load(window + i * row + j * pitch), i * pool_w + j);
                    of_row = j ? better(ordered, of_row, here) : here;
                    sum += here.value;
                }
                best = i ? better(ordered, best, of_row) : of_row;
            }
            if (ordered) finite += v_finite(sum);
            conv_keep(y + ox * k + co, argmax ? argmax + ox * k + co : NULL,
                      conv_normed(relu, best, norm ? norm + co : NULL, s), last - co);
        }
    return all_finite(finite);
}

/* argmax[ox][k] <- the first window index, which is all there is. */
static void conv_first(uint8_t *argmax, const pmc_conv *s, const conv_part *part) {
    for (int64_t ox = part->out_pixels.begin; argmax && ox < part->out_pixels.end; ox++)
        memset(argmax + ox * s->out.c + part->first, 0, (size_t)(part->last - part->first));
}

/* With ReLU, sides and no argmax as constants, so that the other code is left out. */
INLINE int conv_pool_square(const int side, real *y, uint8_t *argmax, const real *rows, int64_t pitch, const real *norm,
                            const pmc_conv *s, const conv_part *part) {
    const int ordered = side > 1;
    if (!conv_relu(s)) return conv_pool_row(ordered, side, side, 0, y, argmax, rows, pitch, norm, s, part);
    if (argmax) return conv_pool_row(ordered, side, side, 1, y, argmax, rows, pitch, norm, s, part);
    return conv_pool_row(ordered, side, side, 1, y, NULL, rows, pitch, norm, s, part);
}

static void conv_pool(real *y, uint8_t *argmax, const real *rows, int64_t pitch, const real *norm, const pmc_conv *s,
                      const conv_part *part) {
    const int64_t side = s->pool_h == s->pool_w ? s->pool_h : 0, n = part->last - part->first, k = s->out.c;
    const int plain = s->activation.kind == PMC_IDENTITY;
    int done = 0;
    if (y == rows && !norm && plain) {
        conv_first(argmax, s, part);
        return;
    }
    if (side == 1) done = conv_pool_square(1, y, argmax, rows, pitch, norm, s, part);
    else if (side == 2) done = conv_pool_square(2, y, argmax, rows, pitch, norm, s, part);
    else if (side == 3) done = conv_pool_square(3, y, argmax, rows, pitch, norm, s, part);
    if (!done) conv_pool_row(0, (int)s->pool_h, (int)s->pool_w, conv_relu(s), y, argmax, rows, pitch, norm, s, part);
    if (plain || conv_relu(s)) return;
    const range pixels = part->out_pixels;
    if (n == k) activate(y + pixels.begin * k, y + pixels.begin * k, (pixels.end - pixels.begin) * k, &s->activation);
    for (int64_t ox = pixels.begin; n < k && ox < pixels.end; ox++)
        activate(y + ox * k + part->first, y + ox * k + part->first, n, &s->activation);
}
