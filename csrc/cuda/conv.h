/* Device kernels of the convolution block: implicit matrix products by tiles, a group's channels in each.
 *
 *   packed [groups][kh][kw][c/g][k/g, padded]; where every channel is a group of its own [kh][kw][k, padded]
 *
 * Positions outside of a picture's inside count as zeros. Of a pool's positions the one that the argmax names has the
 * gradient; the others are multiplied as zeros. */
#pragma once
#include "tile.h"
#include "../kernels/activation.h"
#include "../kernels/moments.h"

INLINE int64_t group_inputs(const pmc_conv *s) { return s->in.c / s->groups; }
INLINE int64_t group_outputs(const pmc_conv *s) { return s->out.c / s->groups; }

/* Where the packed weights has input channel c and output channel o of a group, at tap i * kw + j. */
INLINE int64_t packed_at(const pmc_conv *s, int64_t group, int64_t tap, int64_t c, int64_t o) {
    if (pmc_conv_depthwise(s)) return tap * pmc_padded(s->out.c) + group;
    return ((group * s->kh * s->kw + tap) * group_inputs(s) + c) * pmc_padded(group_outputs(s)) + o;
}

INLINE int64_t conv_pack_items(const pmc_job *j) {
    const pmc_conv *s = &j->op.shape.conv;
    return s->kh * s->kw * group_inputs(s) * s->out.c;
}
KERNEL void conv_pack_item(const pmc_job *j, int64_t copy, int64_t e) {
    const pmc_conv *s = &j->op.shape.conv;
    const real *w = (const real *)j->ref[1], *scale = (const real *)j->ref[2];
    const int64_t channel = e % s->out.c, rest = e / s->out.c, c = rest % group_inputs(s), tap = rest / group_inputs(s);
    const int64_t in_row = tap % s->kw * group_inputs(s) + c;
    const real weight = w[(channel * s->kh + tap / s->kw) * pmc_filter_row(s) + in_row];
    const int64_t to = packed_at(s, channel / group_outputs(s), tap, c, channel % group_outputs(s));
    ((real *)j->ref[0])[to + copy] = weight * (scale ? scale[channel] : 1);
}
ALONE(conv_pack)

/* ---- where things are ---- */

/* One position before the pool: where its sample, output pixel and patch lie. */
typedef struct {
    int64_t x, y_pixel, argmax; /* its sample in x; its output pixel in y and argmax; -1: there is no such position */
    int32_t row, column;        /* of the patch, in the picture with its border */
    int32_t index;              /* among the positions of its output pixel */
} position;

/* Position `pixel` of the rows and columns of output pixels x positions, over all samples from `first` on. */
INLINE position position_of(const pmc_conv *s, int64_t first, int64_t pixel) {
    const int32_t pool_h = (int32_t)s->pool_h, pool_w = (int32_t)s->pool_w, width = (int32_t)s->out.w * pool_w;
    const int32_t pixels = (int32_t)s->out.h * pool_h * width, rest = (int32_t)(pixel % pixels);
    const int64_t sample = first + pixel / pixels;
    const int32_t py = rest / width, px = rest % width, oy = py / pool_h, ox = px / pool_w;
    position at;
    at.x = sample * pmc_image_stride(&s->in);
    at.y_pixel = sample * pmc_image_stride(&s->out) + (s->out.top + oy) * pmc_image_pitch(&s->out) +
                 (s->out.left + ox) * s->out.c;
    at.argmax = sample * pmc_argmax_stride(&s->out) + (oy * s->out.w + ox) * s->out.c;
    at.row = py * (int32_t)s->stride_h;
    at.column = px * (int32_t)s->stride_w;
    at.index = py % pool_h * pool_w + px % pool_w;
    return at;
}

/* Element e of a filter (kh, kw, c/g): how far its pixel is from the patch's first, and its channel. */
typedef struct {
    int32_t row, column, channel; /* channel -1: there is no such element */
} filter_tap;
INLINE filter_tap tap_of(const pmc_conv *s, int64_t e) {
    const int32_t c = (int32_t)group_inputs(s), kw = (int32_t)s->kw, tap = (int32_t)e / c;
    filter_tap at = {0, 0, -1};
    if (e >= s->kh * s->kw * c) return at;
    at.row = tap / kw * (int32_t)s->dilation_h;
    at.column = tap % kw * (int32_t)s->dilation_w;
    at.channel = (int32_t)e % c;
    return at;
}

/* x there, 0 outside of the picture's inside */
INLINE real seen_at(const real *x, const pmc_conv *s, const position *at, filter_tap tap, int64_t group) {
    const int64_t row = at->row + tap.row, column = at->column + tap.column;
    if (at->x < 0 || tap.channel < 0 || row < s->in.top || row >= s->in.top + s->in.h || column < s->in.left ||
        column >= s->in.left + s->in.w)
        return 0;
    return x[at->x + row * pmc_image_pitch(&s->in) + column * s->in.c + group * group_inputs(s) + tap.channel];
}

/* ---- forward ---- */

INLINE int64_t output_pixels(const pmc_conv *s, int64_t n) { return n * s->out.h * s->out.w; }
static int64_t conv_forward_blocks(const pmc_job *j) {
    const pmc_conv *s = &j->op.shape.conv;
    return s->groups * tiles_of(output_pixels(s, j->n), group_outputs(s));
}

/* The pixel, as position_of counts them, of position `index` of a output pixel. */
INLINE int64_t pixel_of_output(const pmc_conv *s, int64_t out_pixel, int64_t index) {
    const int64_t out_pixels = s->out.h * s->out.w, oy = out_pixel % out_pixels / s->out.w, ox = out_pixel % s->out.w;
    const int64_t py = oy * s->pool_h + index / s->pool_w, px = ox * s->pool_w + index % s->pool_w;
    return out_pixel / out_pixels * out_pixels * s->pool_h * s->pool_w + py * s->out.w * s->pool_w + px;
}

/* A tile of output pixels x output channels: position by position of the pool, of whose sums the largest is kept. */
BLOCK conv_forward_block(const pmc_job *j, int64_t block) {
    const pmc_conv *s = &j->op.shape.conv;
    const real *x = (const real *)j->ref[2], *packed = (const real *)j->ref[3], *b = (const real *)j->ref[4];
    const int64_t out_pixels = output_pixels(s, j->n), outputs = group_outputs(s),
                  depth = s->kh * s->kw * group_inputs(s);
    const tile here = tile_of(block, out_pixels, outputs);
    const int64_t group = here.rest;
    SHARED factor_rows rows;
    SHARED factor_columns columns;
    SHARED position at[TILE_ROWS];
    tile_sums sum[EACH];
    fragment best[EACH];
    uint8_t index[EACH][FRAGMENT];
    for (int64_t p = 0; p < s->pool_h * s->pool_w; p++) {
        FOR_THREADS(t) {
            const int64_t out_pixel = here.row + t;
            if (t < TILE_ROWS) at[t].x = -1;
            if (t < TILE_ROWS && out_pixel < out_pixels) at[t] = position_of(s, 0, pixel_of_output(s, out_pixel, p));
            FOR_FRAGMENT(e) {
                const int64_t o = here.column + fragment_at(j->precision, t, e).column;
                tile_begin(&sum[OWN(t)], e, b && o < outputs ? b[group * outputs + o] : 0);
            }
        }
        for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
            FOR_THREADS(t) {
                const filter_tap tap = tap_of(s, k + t % TILE_DEPTH);
                for (int i = t / TILE_DEPTH; i < TILE_ROWS; i += THREADS / TILE_DEPTH)
                    rows[t % TILE_DEPTH][i] = seen_at(x, s, &at[i], tap, group);
                for (int e = t; e < TILE_COLUMNS * TILE_DEPTH; e += THREADS) {
                    const int64_t o = here.column + e % TILE_COLUMNS, element = k + e / TILE_COLUMNS;
                    const int32_t c = (int32_t)group_inputs(s), from = (int32_t)element;
                    columns[e / TILE_COLUMNS][e % TILE_COLUMNS] =
                        o < outputs && element < depth ? packed[packed_at(s, group, from / c, from % c, o)] : 0;
                }
            }
            FOR_THREADS(t) tile_add(&sum[OWN(t)], rows, columns, t, j->precision);
        }
        FOR_THREADS(t) {
            FOR_FRAGMENT(e) {
                const real value = tile_sum(&sum[OWN(t)], e);
                const int take = p == 0 || value > best[OWN(t)][e] || value != value; /* NaN is passed on */
                best[OWN(t)][e] = take ? value : best[OWN(t)][e];
                index[OWN(t)][e] = take ? (uint8_t)p : index[OWN(t)][e];
            }
        }
    }
    const real *norm = (const real *)j->ref[8];
    FOR_THREADS(t) {
        FOR_FRAGMENT(e) {
            const fragment_place own = fragment_at(j->precision, t, e);
            const int64_t o = here.column + own.column, channel = group * outputs + o, row = pmc_padded(s->out.c);
            real value = best[OWN(t)][e];
            if (here.row + own.row >= out_pixels || o >= outputs) continue;
            if (norm)
                value = normed(value, norm[PMC_NORM_MEAN * row + channel], norm[PMC_NORM_SCALE * row + channel],
                               norm[PMC_NORM_BIAS * row + channel]);
            const int dead = s->activation.kind == PMC_RELU && value <= 0;
            ((real *)j->ref[0])[at[own.row].y_pixel + channel] = activated(value, &s->activation);
            if (j->ref[1])
                ((uint8_t *)j->ref[1])[at[own.row].argmax + channel] = dead ? PMC_NO_GRADIENT : index[OWN(t)][e];
        }
    }
}
DEVICE_KERNEL(conv_forward)

/* ---- gradients ---- */

/* dy of a channel at a position, 0 where another has the output pixel's gradient */
INLINE real gradient_at(const real *dy, const uint8_t *argmax, const position *at, int64_t channel) {
    return at->x >= 0 && argmax[at->argmax + channel] == at->index ? dy[at->y_pixel + channel] : 0;
}

/* A tile of output channels x filter elements, of a shard and a group. Behind a filter comes its bias, whose input is
 * always 1. */
static int64_t conv_weight_gradient_blocks(const pmc_job *j) {
    const pmc_conv *s = &j->op.shape.conv;
    return j->shards * s->groups * tiles_of(group_outputs(s), s->kh * s->kw * group_inputs(s) + 1);
}

/* Stores a sum of output channel `channel` and filter element e, and the zeros behind its row. */
KERNEL void store_weight_gradient(const pmc_job *j, int64_t shard, int64_t channel, int64_t e, real value) {
    const pmc_conv *s = &j->op.shape.conv;
    const int64_t width = s->kw * group_inputs(s), row = pmc_filter_row(s), i = e / width, column = e % width;
    if (i < s->kh) {
        real *dw = SHARD(0, shard) + (channel * s->kh + i) * row;
        dw[column] = value;
        for (int64_t behind = width; column == width - 1 && behind < row; behind++) dw[behind] = 0;
    } else if (j->ref[1]) {
        real *db = SHARD(1, shard);
        db[channel] = value;
        for (int64_t behind = s->out.c; channel == s->out.c - 1 && behind < pmc_padded(s->out.c); behind++)
            db[behind] = 0;
    }
}

BLOCK conv_weight_gradient_block(const pmc_job *j, int64_t block) {
    const pmc_conv *s = &j->op.shape.conv;
    const real *dy = (const real *)j->ref[2], *x = (const real *)j->ref[4];
    const uint8_t *argmax = (const uint8_t *)j->ref[3];
    const int64_t outputs = group_outputs(s), elements = s->kh * s->kw * group_inputs(s);
    const tile here = tile_of(block, outputs, elements + 1);
    const int64_t group = here.rest % s->groups, shard = here.rest / s->groups, first = first_of_shard(j, shard);
    const int64_t depth = (first_of_shard(j, shard + 1) - first) * s->out.h * s->pool_h * s->out.w * s->pool_w;
    SHARED factor_rows rows;
    SHARED factor_columns columns;
    SHARED position at[TILE_DEPTH];
    SHARED filter_tap taps[TILE_COLUMNS];
    tile_sums sum[EACH];
    FOR_THREADS(t) {
        if (t < TILE_COLUMNS) taps[t] = tap_of(s, here.column + t);
        FOR_FRAGMENT(e) tile_begin(&sum[OWN(t)], e, 0);
    }
    for (int64_t k = 0; k < depth; k += TILE_DEPTH) {
        FOR_THREADS(t) {
            if (t < TILE_DEPTH) at[t].x = -1;
            if (t < TILE_DEPTH && k + t < depth) at[t] = position_of(s, first, k + t);
        }
        FOR_THREADS(t) {
            for (int e = t; e < TILE_ROWS * TILE_DEPTH; e += THREADS) {
                const int64_t o = here.row + e % TILE_ROWS;
                const position *from = &at[e / TILE_ROWS];
                rows[e / TILE_ROWS][e % TILE_ROWS] =
                    o < outputs ? gradient_at(dy, argmax, from, group * outputs + o) : 0;
            }
            for (int e = t; e < TILE_COLUMNS * TILE_DEPTH; e += THREADS) {
                const int column = e % TILE_COLUMNS, is_bias = here.column + column == elements;
                columns[e / TILE_COLUMNS][column] =
                    is_bias ? 1 : seen_at(x, s, &at[e / TILE_COLUMNS], taps[column], group);
            }
        }
        FOR_THREADS(t) tile_add(&sum[OWN(t)], rows, columns, t, j->precision);
    }
    FOR_THREADS(t) {
        FOR_FRAGMENT(e) {
            const fragment_place own = fragment_at(j->precision, t, e);
            const int64_t o = here.row + own.row, element = here.column + own.column;
            if (o < outputs && element <= elements)
                store_weight_gradient(j, shard, group * outputs + o, element, tile_sum(&sum[OWN(t)], e));
        }
    }
}
DEVICE_KERNEL(conv_weight_gradient)

/* A tile of pixels of the inside x input channels of a group */
INLINE int64_t pixels_in(const pmc_conv *s, int64_t n) { return n * s->in.h * s->in.w; }
static int64_t conv_input_gradient_blocks(const pmc_job *j) {
    const pmc_conv *s = &j->op.shape.conv;
    return s->groups * tiles_of(pixels_in(s, j->n), group_inputs(s));
}

/* The position whose patch has, at tap (i, j), pixel `pixel` of the insides of all samples. */
INLINE position position_that_sees(const pmc_conv *s, int64_t pixel, int64_t i, int64_t j) {
    const int32_t width = (int32_t)s->in.w, pixels = (int32_t)(s->in.h * s->in.w), rest = (int32_t)(pixel % pixels);
    const int32_t row = (int32_t)(s->in.top + rest / width - i * s->dilation_h);
    const int32_t column = (int32_t)(s->in.left + rest % width - j * s->dilation_w);
    const int32_t stride_h = (int32_t)s->stride_h, stride_w = (int32_t)s->stride_w, py = row / stride_h,
                  px = column / stride_w;
    const int64_t height = s->out.h * s->pool_h, across = s->out.w * s->pool_w;
    position none;
    none.x = -1;
    if (row < 0 || column < 0 || row % stride_h || column % stride_w || py >= height || px >= across) return none;
    return position_of(s, 0, pixel / pixels * height * across + py * across + px);
}

BLOCK conv_input_gradient_block(const pmc_job *job, int64_t block) {
    const pmc_conv *s = &job->op.shape.conv;
    const real *dy = (const real *)job->ref[1], *w = (const real *)job->ref[3];
    const uint8_t *argmax = (const uint8_t *)job->ref[2];
    const int64_t pixels = pixels_in(s, job->n), inputs = group_inputs(s), outputs = group_outputs(s);
    const tile here = tile_of(block, pixels, inputs);
    const int64_t group = here.rest, filter = s->kh * pmc_filter_row(s);
    SHARED factor_rows rows;
    SHARED factor_columns columns;
    SHARED position at[TILE_ROWS];
    tile_sums sum[EACH];
    FOR_THREADS(t) { FOR_FRAGMENT(e) tile_begin(&sum[OWN(t)], e, 0); }
    for (int64_t i = 0; i < s->kh; i++)
        for (int64_t j = 0; j < s->kw; j++) {
            const real *of_tap = w + group * outputs * filter + i * pmc_filter_row(s) + j * inputs;
            FOR_THREADS(t) {
                if (t < TILE_ROWS) at[t].x = -1;
                if (t < TILE_ROWS && here.row + t < pixels) at[t] = position_that_sees(s, here.row + t, i, j);
            }
            for (int64_t k = 0; k < outputs; k += TILE_DEPTH) {
                FOR_THREADS(t) {
                    const int64_t o = k + t % TILE_DEPTH;
                    for (int r = t / TILE_DEPTH; r < TILE_ROWS; r += THREADS / TILE_DEPTH)
                        rows[t % TILE_DEPTH][r] =
                            o < outputs ? gradient_at(dy, argmax, &at[r], group * outputs + o) : 0;
                    for (int e = t; e < TILE_COLUMNS * TILE_DEPTH; e += THREADS) {
                        const int64_t c = here.column + e % TILE_COLUMNS, from = k + e / TILE_COLUMNS;
                        columns[e / TILE_COLUMNS][e % TILE_COLUMNS] =
                            c < inputs && from < outputs ? of_tap[from * filter + c] : 0;
                    }
                }
                FOR_THREADS(t) tile_add(&sum[OWN(t)], rows, columns, t, job->precision);
            }
        }
    FOR_THREADS(t) {
        FOR_FRAGMENT(e) {
            const fragment_place own = fragment_at(job->precision, t, e);
            const int64_t pixel = here.row + own.row, channel = here.column + own.column;
            const int64_t size = s->in.h * s->in.w;
            if (pixel >= pixels || channel >= inputs) continue;
            real *dx = (real *)job->ref[0] + pixel / size * pmc_image_stride(&s->in);
            dx[inside(&s->in, pixel % size * s->in.c + group * inputs + channel)] = tile_sum(&sum[OWN(t)], e);
        }
    }
}
DEVICE_KERNEL(conv_input_gradient)
