/* Large linear layers on tiles: what linear_large.h does in registers. A task packs what it reads: rows of factors,
 * with zeros up to whole tiles, and words of as many rows. Zeros of pictures are multiplied like other numbers. */
#pragma once
#include "amx_product.h"
#include "linear_bias.h"
#include "transpose.h"

/* Words of a sum of so many factors: whole tiles'. */
INLINE int64_t tile_depth(int64_t length) { return (words_of(length) + TILE - 1) / TILE * TILE; }

/* factors_of_columns, with zeros behind them up to whole tiles. */
static factors words_of_columns(real *room, const real *x, int64_t length, int64_t columns, int64_t pitch) {
    const factors made = factors_of_columns(room, x, length, columns, pitch);
    const int64_t words = words_of(length);
    memset(room + words * made.pitch, 0, (size_t)((tile_depth(length) - words) * made.pitch) * sizeof *room);
    return made;
}

/* out [rows][out_pitch] = start + a [rows][depth] * w [depth][columns] */
static void linear_product(real *out, const real *a, int64_t a_pitch, factors w, const real *start, int64_t rows,
                           int64_t columns, int64_t depth, int64_t out_pitch) {
    const tile_shape product = {
        .rows = 1, .columns = 1, .length = 2 * depth, .pixel = 2 * a_pitch, .w_pitch = w.pitch, .out_pitch = out_pitch};
    tiles_shape(tile_rows_of(rows));
    tile_gemm(out, (const factor *)a, w.at, start, rows, columns, NULL, &product);
}

/* One sample: y [columns] = x [in] * w [in][pitch] + b. The weights are read once, row by row, and each tile's words
 * are multiplied as soon as they are made: what takes time is memory. */
static void linear_row(real *y, const real *x, const real *w, const real *b, int64_t in, int64_t columns,
                       int64_t pitch) {
    enum { STRIP = 512 };
    const int64_t steps = tile_depth(in) / TILE;
    real sums[STRIP], words[TILE * TILE];
    tiles_shape(1);
    for (int64_t c = 0; c < columns; c += STRIP) {
        const int64_t width = MIN(STRIP, columns - c);
        for (int64_t step = 0; step < steps; step++) {
            for (int64_t v = 0; step % CHAIN == 0 && v < width; v += VL)
                v_store(sums + v, step == 0 && b ? v_load(b + c + v) : (vf){0});
            TILE_LOAD(4, x + step * TILE, 0);
            for (int64_t v = 0; v < width; v += TILE) {
                for (int64_t k = 0; k < TILE; k++) {
                    const int64_t first = step * TILE_FACTORS + 2 * k;
                    const real *from = w + first * pitch + c + v;
                    const vf a = first < in ? v_load(from) : (vf){0},
                             second = first + 1 < in ? v_load(from + pitch) : (vf){0};
                    v_store(words + k * TILE, v_pair(a, second));
                }
                TILE_LOAD(0, sums + v, 0);
                TILE_LOAD(6, words, sizeof(real) * TILE);
                TILE_PRODUCT(0, 4, 6);
                TILE_STORE(0, sums + v, 0);
            }
            for (int64_t v = 0; (step % CHAIN == CHAIN - 1 || step == steps - 1) && v < width; v += VL)
                v_store(y + c + v, step < CHAIN ? v_load(sums + v) : v_load(y + c + v) + v_load(sums + v));
        }
    }
}

/* y [n][out] = x [n][in] * w [in][out] + b, of x as rows of words, and `columns` outputs */
static void linear_columns(real *y, factors x, const real *w, const real *b, const pmc_linear *s, int64_t n,
                           int64_t columns, real *room) {
    const int64_t out = pmc_padded(s->out);
    if (n == 1) {
        linear_row(y, x.at, w, b, s->in, columns, out);
        return;
    }
    for (int64_t c = 0; c < columns; c += PMC_PACKED_COLUMNS) {
        const int64_t some = MIN(PMC_PACKED_COLUMNS, columns - c);
        linear_product(y + c, x.at, x.pitch, words_of_columns(room, w + c, s->in, some, out), b ? b + c : NULL, n, some,
                       tile_depth(s->in), pmc_vector_stride(s->out));
    }
}

/* y [n][out] = x [n][in] * w [in][out] + b */
static void linear_sparse_forward(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n,
                                  real *room) {
    const int64_t out = pmc_padded(s->out), y_stride = pmc_vector_stride(s->out);
    const factors inputs = factors_of_rows(room, x, n, s->in, pmc_vector_stride(s->in));
    for (int64_t i = 0; i < n; i++) memset(y + i * y_stride + out, 0, (size_t)(y_stride - out) * sizeof *y);
    linear_columns(y, inputs, w, b, s, n, out, room + n * inputs.pitch);
    tiles_release();
}

/* A task: PMC_TILE_ROWS samples x pmc_tile_columns(...) outputs of y [n][out] = x [n][in] * w [in][out] + b. */
static void linear_tile_forward(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n,
                                int64_t task, int64_t parts, real *room) {
    const int64_t out = pmc_padded(s->out), width = pmc_tile_columns(n, s->out, parts), tiles = pmc_blocks(out, width);
    const int64_t column = task % tiles * width, row = task / tiles * PMC_TILE_ROWS;
    const int64_t x_stride = pmc_vector_stride(s->in), y_stride = pmc_vector_stride(s->out);
    const int64_t rows = MIN(PMC_TILE_ROWS, n - row), columns = MIN(width, out - column);
    const factors inputs = factors_of_rows(room, x + row * x_stride, rows, s->in, x_stride);
    linear_columns(y + row * y_stride + column, inputs, w + column, b ? b + column : NULL, s, rows, columns,
                   room + rows * inputs.pitch);
    if (column + width >= out)
        for (int64_t i = row; i < row + rows; i++)
            memset(y + i * y_stride + out, 0, (size_t)(y_stride - out) * sizeof *y);
    tiles_release();
}

/* A task: PMC_TILE_BAND rows of dw [in][out] = x' [in][n] * dy [n][out]; the task after the last band is db. */
static void linear_tile_weight_gradient(real *dw, real *db, const real *dy, const real *x, const pmc_linear *s,
                                        int64_t n, int64_t task, real *room) {
    const int64_t out = pmc_padded(s->out), row = task * PMC_TILE_BAND, dy_stride = pmc_vector_stride(s->out);
    const int64_t inputs = MIN(PMC_TILE_BAND, s->in - row), depth = tile_depth(n);
    if (row >= s->in) {
        linear_bias_gradient(db, dy, s, n);
        return;
    }
    const factors samples = factors_of_columns(room, x + row, n, inputs, pmc_vector_stride(s->in));
    real *rows = room + words_of(n) * samples.pitch, *behind = rows + inputs * depth; /* rows [inputs][depth] */
    transpose(rows, samples.at, words_of(n), inputs, depth, depth, samples.pitch);
    for (int64_t column = 0; column < out; column += PMC_PACKED_COLUMNS) {
        const int64_t columns = MIN(PMC_PACKED_COLUMNS, out - column);
        linear_product(dw + row * out + column, rows, depth,
                       words_of_columns(behind, dy + column, n, columns, dy_stride), NULL, inputs, columns, depth, out);
    }
    tiles_release();
}

/* A task: PMC_TILE_COLUMNS inputs of dx [n][in] = dy [n][out] * w' [out][in]; packed holds the transposed piece of
 * w. */
static void linear_tile_input_gradient(real *dx, const real *dy, const real *w, const pmc_linear *s, int64_t n,
                                       int64_t task, real *packed) {
    const int64_t in = pmc_padded(s->in), out = pmc_padded(s->out), column = task * PMC_TILE_COLUMNS;
    const int64_t columns = MIN(PMC_TILE_COLUMNS, in - column), there = MIN(columns, s->in - column);
    const int64_t dx_stride = pmc_vector_stride(s->in), dy_stride = pmc_vector_stride(s->out);
    const int64_t words = words_of(s->out), depth = tile_depth(s->out);
    real *room = packed + depth * PMC_TILE_COLUMNS;
    const factors weights = factors_of_rows(room, w + column * out, there, s->out, out);
    transpose(packed, weights.at, there, words, columns, PMC_TILE_COLUMNS, weights.pitch);
    memset(packed + words * PMC_TILE_COLUMNS, 0, (size_t)((depth - words) * PMC_TILE_COLUMNS) * sizeof *packed);
    for (int64_t row = 0; row < n; row += PMC_TILE_ROWS) {
        const int64_t rows = MIN(PMC_TILE_ROWS, n - row);
        const factors gradients = factors_of_rows(room, dy + row * dy_stride, rows, s->out, dy_stride);
        linear_product(dx + row * dx_stride + column, gradients.at, gradients.pitch,
                       (factors){packed, PMC_TILE_COLUMNS}, NULL, rows, columns, depth, dx_stride);
    }
    if (column + columns >= in)
        for (int64_t i = 0; i < n; i++) memset(dx + i * dx_stride + in, 0, (size_t)(dx_stride - in) * sizeof *dx);
    tiles_release();
}
