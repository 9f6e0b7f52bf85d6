/* The gradient of a convolution's weights where there is one input channel, or one a group. */
#pragma once
#include "conv.h"
#include "patch.h"

/* sum [R][C] += gradient * the taps that each lane's window index sees, where a pool's windows are P x P neighbouring
 * pixels: a lane chooses its pixels, instead of adding up what all indices see, all but one of them times zero. */
INLINE void conv_chosen_taps(const int R, const int C, const int P, vf (*sum)[8], const real *x, vf gradient, vi where,
                             int64_t row) {
    v_lanes below[3], right[3];
    vi column = where;
    for (int i = 1; i < P; i++) {
        below[i] = v_at_least(where, (lane)(i * P));
        column -= (where >= (lane)(i * P)) & (lane)P;
    }
    for (int j = 1; j < P; j++) right[j] = v_at_least(column, (lane)j);
    vf seen[3][8]; /* of the last P rows, in the lane's column of the window */
#pragma GCC unroll 8
    for (int r = 0; r < R + P - 1; r++)
#pragma GCC unroll 8
        for (int c = 0; c < C; c++) {
            vf pixel = v_splat(x[r * row + c]);
#pragma GCC unroll 3
            for (int j = 1; j < P; j++) pixel = v_choose(right[j], v_splat(x[r * row + c + j]), pixel);
            seen[r % P][c] = pixel;
            const int tap = r - (P - 1);
            if (tap < 0) continue;
            pixel = seen[tap % P][c];
#pragma GCC unroll 3
            for (int i = 1; i < P; i++) pixel = v_choose(below[i], seen[(tap + i) % P][c], pixel);
            sum[tap][c] = v_fma(pixel, gradient, sum[tap][c]);
        }
}

/* May a tile choose its pixels? There is code for filters of 3x3 and 5x5, and pools of 2x2 and 3x3. */
INLINE int conv_taps_chosen(const int R, const int C, const int P, const pmc_conv *s) {
    const int code = LANES_ARE_CHEAP && PAIR == 1 && (R == 3 || (R == 2 && C == 5)) && (C == 3 || (C == 5 && P == 2));
    return code && s->pool_h == P && s->pool_w == P && s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1 &&
           s->dilation_w == 1;
}

/* Are two neighbours of a pool's window neighbours in x? */
INLINE int conv_taps_paired(const pmc_conv *s) {
    return PAIR > 1 && s->in.c == 1 && s->stride_w == 1 && s->pool_w % 2 == 0;
}

/* One input channel, or one a group: a filter row is too short for lanes, so that lanes go over output channels
 * and the R x C taps of a tile of the filter stay in registers. `own`: each lane has an input channel of its own.
 * pair: 2 where x is of words, which two neighbours of a pool's window see, else 1; chosen: conv_chosen_taps' P, or 0.
 * dw [k][kh][kw, padded] (+)= */
INLINE void conv_taps(const int R, const int C, const int own, const int pair, const int chosen, real *dw,
                      const real *dy, const uint8_t *argmax, const real *x, const pmc_conv *s, int64_t n, int opening,
                      int64_t co, const int32_t *at, const range *ranges) {
    const int64_t k = s->out.c, row = s->dilation_h * pmc_image_pitch(&s->in), pitch = pmc_image_pitch(&s->out);
    const int64_t column = s->dilation_w * s->in.c, step = s->pool_w * s->stride_w * s->in.c;
    const int indices = (int)(s->pool_h * s->pool_w);
    vf sum[3][8], all_sums[3][8];
    int64_t summed = 0; /* pixels in sum */
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) sum[r][c] = all_sums[r][c] = (vf){0};
    for (int64_t i = 0; i < n; i++)
        for (int64_t oy = 0; oy < s->out.h; oy++) {
            const range all = {0, (int32_t)s->out.w}, seen = own ? all : ranges[i * s->out.h + oy];
            const real *g =
                dy + i * pmc_image_stride(&s->out) + (s->out.top + oy) * pitch + (s->out.left + seen.begin) * k + co;
            const uint8_t *a = argmax + i * pmc_argmax_stride(&s->out) + (oy * s->out.w + seen.begin) * k + co;
            const real *window = x + i * pmc_image_stride(&s->in) + conv_patch_of(s, oy, seen.begin) + (own ? co : 0);
            for (int64_t ox = seen.begin; ox < seen.end; ox++, g += k, a += k, window += step) {
                vf gradient = v_round(v_load(g));
                vi where = v_load_bytes(a);
                if (chosen) {
                    const vf here = v_choose(v_at_least(where, (lane)indices), (vf){0}, gradient);
                    conv_chosen_taps(R, C, chosen, sum, window, here, where, row);
                    continue;
                }
                for (int index = 0; index < indices; index += pair) {
                    vf here = pair == 1 ? v_select(where == index, gradient, (vf){0})
                                        : v_as_one_of_pair(where == index, where == index + 1, gradient);
                    const real *patch = window + at[index];
                    for (int r = 0; r < R; r++)
                        for (int c = 0; c < C; c++) {
                            const real *tap = patch + r * row + c * column;
                            if (pair > 1) sum[r][c] = v_product(v_splat_word(tap), here, sum[r][c]);
                            else sum[r][c] = v_fma(own ? v_load(tap) : v_splat(*tap), here, sum[r][c]);
                        }
                }
            }
            if ((summed += seen.end - seen.begin) < CHAIN) continue;
            summed = 0;
            for (int r = 0; r < R; r++)
                for (int c = 0; c < C; c++) all_sums[r][c] += sum[r][c], sum[r][c] = (vf){0};
        }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) sum[r][c] += all_sums[r][c];
    for (int lane = 0; lane < MIN(VL, k - co); lane++)
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) {
                real *to = dw + ((co + lane) * s->kh + r) * pmc_filter_row(s) + c;
                *to = opening ? sum[r][c][lane] : *to + sum[r][c][lane];
            }
}

typedef void conv_taps_tile(real *dw, const real *dy, const uint8_t *argmax, const real *x, const pmc_conv *s,
                            int64_t n, int opening, int64_t co, const int32_t *at, const range *ranges);
#define CONV_TAPS(R, C)                                                                                                \
    static void conv_taps_##R##x##C(real *dw, const real *dy, const uint8_t *argmax, const real *x, const pmc_conv *s, \
                                    int64_t n, int opening, int64_t co, const int32_t *at, const range *ranges) {      \
        if (conv_taps_paired(s)) conv_taps(R, C, 0, PAIR, 0, dw, dy, argmax, x, s, n, opening, co, at, ranges);        \
        else if (s->in.c > 1) conv_taps(R, C, 1, 1, 0, dw, dy, argmax, x, s, n, opening, co, at, ranges);              \
        else if (conv_taps_chosen(R, C, 2, s))                                                                         \
            conv_taps(R, C, 0, 1, 2, dw, dy, argmax, x, s, n, opening, co, at, ranges);                                \
        else if (conv_taps_chosen(R, C, 3, s))                                                                         \
            conv_taps(R, C, 0, 1, 3, dw, dy, argmax, x, s, n, opening, co, at, ranges);                                \
        else conv_taps(R, C, 0, 1, 0, dw, dy, argmax, x, s, n, opening, co, at, ranges);                               \
    }
PATCH_TILES(CONV_TAPS)
#define CONV_TAPS_ENTRY(R, C) PATCH_TILE_ENTRY(conv_taps, R, C)
static conv_taps_tile *const conv_taps_tiles[PATCH_ROWS + 1][PATCH_COLUMNS + 1] = {PATCH_TILES(CONV_TAPS_ENTRY)};

/* What taps see of n pictures: x itself; or, in `room`, it rounded, or words. */
static const real *conv_seen_by_taps(const real *x, const pmc_conv *s, int64_t n, real *room) {
    const int64_t stride = pmc_image_stride(&s->in);
    if (PAIR == 1) return x;
    if (conv_taps_paired(s))
        for (int64_t i = 0; i < n; i++)
            for (int64_t e = i * stride; e < (i + 1) * stride - PMC_PAD; e += VL) v_store(room + e, v_words(x + e));
    else
        for (int64_t e = 0; e < n * stride; e += VL) v_store(room + e, v_round(v_load(x + e)));
    return room;
}

static void conv_by_taps(real *dw, const real *dy, const uint8_t *argmax, const real *x, const pmc_conv *s, int64_t n,
                         int opening, int64_t first, int64_t last, const int32_t *at, real *room, range *ranges) {
    const real *seen = conv_seen_by_taps(x, s, n, room);
    const int64_t row = s->dilation_h * pmc_image_pitch(&s->in), column = s->dilation_w * s->in.c;
    const int64_t columns_most = equal_parts(s->kw, PATCH_COLUMNS);
    const int64_t rows_most = tile_rows_beside(s->kh, columns_most);
    for (int64_t i = 0; s->in.c == 1 && i < n; i++)
        for (int64_t oy = 0; oy < s->out.h; oy++)
            ranges[i * s->out.h + oy] = conv_range(x + i * pmc_image_stride(&s->in), s, oy);
    for (int64_t co = first; co < last; co += VL)
        for (int64_t j = 0; j < s->kw; j += columns_most)
            for (int64_t i = 0; i < s->kh; i += rows_most) {
                conv_taps_tile *taps = conv_taps_tiles[MIN(rows_most, s->kh - i)][MIN(columns_most, s->kw - j)];
                taps(dw + i * pmc_filter_row(s) + j, dy, argmax, seen + i * row + j * column, s, n, opening, co, at,
                     ranges);
            }
}
