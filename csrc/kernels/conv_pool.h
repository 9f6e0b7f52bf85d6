/* The output pixels of a convolution block, and what it does with the window of one: the best is kept, with its
 * window index, and activated. */
#pragma once
#include "activation.h"
#include "images.h"
#include "moments.h"

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

/* The best value so far of a window, a vector of output channels, and its window index; NaN wins: it is passed on. */
typedef struct {
    vf value;
    vi index;
} best_of;

INLINE best_of better(best_of best, best_of other) {
    const v_lanes take = v_larger_or_nan(other.value, best.value);
    return (best_of){v_choose(take, other.value, best.value), v_choose_lane(take, other.index, best.index)};
}
INLINE best_of single(vf value, int index) { return (best_of){value, v_splat_lane(index)}; }

/* y [n], argmax [n] (or NULL) <- the best, normed by statistics [PMC_NORM_ROWS][k, padded] (or NULL) and activated;
 * with ReLU a constant, so that the other code is left out. */
INLINE void conv_keep(const int relu, real *y, uint8_t *argmax, best_of best, const real *norm, const pmc_conv *s,
                      int64_t n) {
    if (norm) {
        const int64_t row = pmc_padded(s->out.c);
        best.value = normed(best.value, v_load(norm + PMC_NORM_MEAN * row), v_load(norm + PMC_NORM_SCALE * row),
                            v_load(norm + PMC_NORM_BIAS * row));
    }
    if (relu) {
        const v_lanes alive = v_larger_or_nan(best.value, (vf){0});
        best.value = v_choose(alive, best.value, (vf){0});
        best.index = v_choose_lane(alive, best.index, v_splat_lane(PMC_NO_GRADIENT));
    } else best.value = activated(best.value, &s->activation);
    v_store_n(y, best.value, n);
    if (argmax) v_store_bytes_n(argmax, best.index, n);
}

/* y[ox][k], argmax[ox][k] <- the maxima of rows [pool_h][ow * pool_w][pitch], normed and activated. */
INLINE void conv_pool_row(const int pool_h, const int pool_w, const int relu, real *y, uint8_t *argmax,
                          const real *rows, int64_t pitch, const real *norm, const pmc_conv *s, const conv_part *part) {
    const int64_t k = s->out.c, row = s->out.w * pool_w * pitch, last = part->last;
    for (int64_t ox = part->out_pixels.begin; ox < part->out_pixels.end; ox++)
        for (int64_t co = part->first; co < last; co += VL) {
            const real *window = rows + ox * pool_w * pitch + co;
            best_of best = {0};
            for (int i = 0; i < pool_h; i++) { /* of each row by itself: comparisons need not wait for each other */
                best_of of_row = single(v_load(window + i * row), i * pool_w);
                for (int j = 1; j < pool_w; j++)
                    of_row = better(of_row, single(v_load(window + i * row + j * pitch), i * pool_w + j));
                best = i ? better(best, of_row) : of_row;
            }
            conv_keep(relu, y + ox * k + co, argmax ? argmax + ox * k + co : NULL, best, norm ? norm + co : NULL, s,
                      last - co);
        }
}

/* argmax[ox][k] <- the first window index, which is all there is. */
static void conv_first(uint8_t *argmax, const pmc_conv *s, const conv_part *part) {
    for (int64_t ox = part->out_pixels.begin; argmax && ox < part->out_pixels.end; ox++)
        memset(argmax + ox * s->out.c + part->first, 0, (size_t)(part->last - part->first));
}

static void conv_pool(real *y, uint8_t *argmax, const real *rows, int64_t pitch, const real *norm, const pmc_conv *s,
                      const conv_part *part) {
    const int64_t side = s->pool_h == s->pool_w ? s->pool_h : 0;
    const int relu = s->activation.kind == PMC_RELU, done = y == rows && !norm && s->activation.kind == PMC_IDENTITY;
    if (done) conv_first(argmax, s, part);
    else if (side == 2 && relu) conv_pool_row(2, 2, 1, y, argmax, rows, pitch, norm, s, part);
    else if (side == 2) conv_pool_row(2, 2, 0, y, argmax, rows, pitch, norm, s, part);
    else if (side == 1 && relu) conv_pool_row(1, 1, 1, y, argmax, rows, pitch, norm, s, part);
    else if (side == 1) conv_pool_row(1, 1, 0, y, argmax, rows, pitch, norm, s, part);
    else if (side == 3) conv_pool_row(3, 3, relu, y, argmax, rows, pitch, norm, s, part);
    else conv_pool_row((int)s->pool_h, (int)s->pool_w, relu, y, argmax, rows, pitch, norm, s, part);
}
