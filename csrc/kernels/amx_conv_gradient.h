/* A convolution's gradients on tiles, where products with zeros are cheaper than the lists of conv_gradient.h: dy is
 * spread to where its patches begin in x, and both are products along all pixels of x, its border among them, one
 * after the other:
 *
 *   dw[k][i][j][c] = sum over pixels p of      spread[p][k] * x[p + i * row + j * column][c]
 *   dx[p][c]       = sum over i, j and k of    spread[p - i * row - j * column][k] * w[k][i][j][c] */
#pragma once
#include "amx_conv.h"
#include "images.h"

/* spread [pixels][pitch] <- dy of output channels first to last - 1: what each window's best pixel gets, and zeros */
static void conv_spread(factor *spread, const real *dy, const uint8_t *argmax, const pmc_conv *s, int64_t first,
                        int64_t last, int64_t pixels, int64_t pitch) {
    const int64_t row = s->stride_h * pmc_conv_width(s) * pitch, pixel = s->stride_w * pitch;
    const real *g = dy + image_start(&s->out);
    memset(spread, 0, (size_t)(pixels * pitch) * sizeof *spread);
    for (int64_t oy = 0; oy < s->out.h; oy++, g += pmc_image_pitch(&s->out), argmax += s->out.w * s->out.c)
        for (int64_t ox = 0; ox < s->out.w; ox++)
            for (int64_t co = first; co < last; co += VL) {
                const vf gradient = v_load_n(g + ox * s->out.c + co, last - co);
                const vi where = v_load_bytes(argmax + ox * s->out.c + co);
                factor *to = spread + oy * s->pool_h * row + ox * s->pool_w * pixel + co - first;
                for (int64_t i = 0; i < s->pool_h; i++)
                    for (int64_t j = 0; j < s->pool_w; j++)
                        v_store_factors(to + i * row + j * pixel,
                                        v_select(where == (lane)(i * s->pool_w + j), gradient, (vf){0}));
            }
}

/* words [elements] <- each element of a picture and the same channel's of the next pixel; zeros behind it */
static void conv_neighbours(real *words, const real *x, const pmc_conv *s, int64_t elements) {
    const int64_t there = pmc_image_rows(&s->in) * pmc_image_pitch(&s->in), c = s->in.c;
    for (int64_t e = 0; e < elements; e += VL)
        v_store(words + e, v_pair(v_load_n(x + e, MAX(there - e, 0)), v_load_n(x + e + c, MAX(there - e - c, 0))));
}

/* rows [channels][steps * 16 words] <- spread [steps * 32][pitch] */
static void conv_spread_turned(real *rows, const factor *spread, int64_t channels, int64_t steps, int64_t pitch) {
    for (int64_t co = 0; co < channels; co += TILE)
        for (int64_t step = 0; step < steps; step++) {
            const factor *from = spread + step * TILE_FACTORS * pitch + co;
            vf square[TILE];
            for (int k = 0; k < TILE; k++, from += 2 * pitch) square[k] = v_factors_pair(from, from + pitch);
            transpose_square(square);
            for (int64_t o = 0; o < MIN(TILE, channels - co); o++)
                v_store(rows + ((co + o) * steps + step) * TILE, square[o]);
        }
}

/* dw [k][kh][kw * c, padded] += of output channels first to last - 1 */
static void conv_tile_weight_gradient(real *dw, const real *dy, const uint8_t *argmax, const real *x, const pmc_conv *s,
                                      int64_t n, int64_t first, int64_t last, real *room) {
    const int64_t channels = last - first, pitch = pmc_conv_spread_pitch(channels), row = pmc_filter_row(s);
    const int64_t c = s->in.c, run = pmc_conv_run(s), runs = pmc_conv_runs(s), a_row = runs / s->kh;
    const int64_t steps = (pmc_image_rows(&s->in) * pmc_conv_width(s) + TILE_FACTORS - 1) / TILE_FACTORS;
    const int64_t pixels = steps * TILE_FACTORS, elements = pmc_padded((pixels + pmc_conv_reach(s)) * c) + PMC_PAD;
    factor *spread = (factor *)room;
    real *words = room + pixels * pitch / 2, *rows = words + elements, *sums = rows + channels * steps * TILE;
    const tile_shape product = {
        .rows = 1, .columns = 1, .length = pixels, .pixel = pixels, .w_pitch = 2 * c, .out_pitch = pmc_padded(run)};
    tiles_shape(tile_rows_of(channels));
    for (int64_t i = 0; i < n; i++) {
        conv_spread(spread, dy + i * pmc_image_stride(&s->out), argmax + i * pmc_argmax_stride(&s->out), s, first, last,
                    pixels, pitch);
        conv_spread_turned(rows, spread, channels, steps, pitch);
        conv_neighbours(words, x + i * pmc_image_stride(&s->in), s, elements);
        for (int64_t r = 0; r < runs; r++) {
            const int64_t at = r / a_row * s->dilation_h * pmc_image_pitch(&s->in) + r % a_row * s->dilation_w * c;
            tile_gemm(sums, (factor *)rows, words + at, NULL, channels, product.out_pitch, NULL, &product);
            for (int64_t o = 0; o < channels; o++)
                for (int64_t e = 0; e < run; e += VL) {
                    real *to = dw + ((first + o) * s->kh + r / a_row) * row + r % a_row * run + e;
                    v_store_n(to, v_load_n(to, run - e) + v_load(sums + o * product.out_pitch + e), run - e);
                }
        }
    }
    tiles_release();
}

/* dx image `in`; turned: conv_pack_filters */
static void conv_tile_input_gradient(real *dx, const real *dy, const uint8_t *argmax, const real *turned,
                                     const pmc_conv *s, int64_t n, real *room) {
    const int64_t pitch = pmc_conv_spread_pitch(s->out.c), width = pmc_conv_width(s), reach = pmc_conv_reach(s);
    const int64_t all = pmc_image_rows(&s->in) * width, pixels = (s->in.h - 1) * width + s->in.w; /* inside */
    const int64_t c = s->in.c, columns = pmc_padded(c);
    factor *spread = (factor *)room;
    real *rows = room + (reach + all) * pitch / 2;
    const tile_shape product = {.rows = s->kh,
                                .columns = s->kw,
                                .length = pitch,
                                .pixel = pitch,
                                .row = s->dilation_h * width * pitch,
                                .column = s->dilation_w * pitch,
                                .w_pitch = columns,
                                .out_pitch = columns};
    tiles_shape(tile_rows_of(pixels));
    for (int64_t i = 0; i < n; i++, dx += pmc_image_stride(&s->in)) {
        real *inside = image_inside(dx, &s->in), *to = c == columns ? inside : rows;
        memset(spread, 0, (size_t)(reach * pitch) * sizeof *spread);
        conv_spread(spread + reach * pitch, dy + i * pmc_image_stride(&s->out), argmax + i * pmc_argmax_stride(&s->out),
                    s, 0, s->out.c, all, pitch);
        tile_gemm(to, spread + (s->in.top * width + s->in.left) * pitch, turned, NULL, pixels, columns, NULL, &product);
        for (int64_t p = 0; to == rows && p < pixels; p++)
            memcpy(inside + p * c, rows + p * columns, (size_t)c * sizeof *dx);
        image_clear_border(dx, &s->in);
    }
    tiles_release();
}
