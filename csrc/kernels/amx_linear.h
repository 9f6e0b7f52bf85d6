/* Large linear layers on tiles: what linear_large.h does in registers. A task packs what it reads, but for the weights of
 * the forward pass: rows of factors, with zeros up to whole tiles, and words of as many rows. Zeros of pictures are
 * multiplied like other numbers. */
#pragma once
#include "amx_product.h"
#include "linear_bias.h"
#include "linear_words.h"

_Static_assert((int)TILE == (int)PMC_PAD, "padded words are whole tiles'");

/* factors_of_columns, with zeros behind them up to whole tiles. */
static factors words_of_columns(real *room, const real *x, int64_t length, int64_t columns, int64_t pitch) {
    const factors made = factors_of_columns(room, x, length, columns, pitch);
    const int64_t words = words_of(length);
    memset(room + words * made.pitch, 0, (size_t)((pmc_padded(words) - words) * made.pitch) * sizeof *room);
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

/* y [n][columns] = x [n][in] * w [in][columns] + b */
static void linear_piece(real *y, factors x, factors w, const real *b, const pmc_linear *s, int64_t n,
                         int64_t columns) {
    linear_product(y, x.at, x.pitch, w, b, n, columns, pmc_linear_depth(s), pmc_vector_stride(s->out));
    tiles_release();
}

/* A task: dw, PMC_TILE_BAND rows of x' [in][n] * dy [n][out]; the task after the last band is db. */
static void linear_tile_weight_gradient(real *dw, real *db, const real *dy, const real *x, const pmc_linear *s,
                                        int64_t n, int64_t task, real *room) {
    const int64_t out = pmc_padded(s->out), row = task * PMC_TILE_BAND, dy_stride = pmc_vector_stride(s->out);
    const int64_t inputs = MIN(PMC_TILE_BAND, s->in - row), depth = pmc_padded(words_of(n));
    if (row >= s->in) {
        linear_bias_gradient(db, dy, s, n);
        return;
    }
    const factors samples = factors_of_columns(room, x + row, n, inputs, pmc_vector_stride(s->in));
    real *rows = room + words_of(n) * samples.pitch, *behind = rows + inputs * depth; /* rows [inputs][depth] */
    transpose(rows, samples.at, words_of(n), inputs, depth, depth, samples.pitch);
    for (int64_t column = 0; column < out; column += PMC_PACKED_COLUMNS) {
        const int64_t columns = MIN(PMC_PACKED_COLUMNS, out - column);
        linear_product(dw + column, rows, depth, words_of_columns(behind, dy + column, n, columns, dy_stride), NULL,
                       inputs, columns, depth, pmc_linear_pitch(s));
    }
    tiles_release();
}

/* A task: PMC_TILE_COLUMNS inputs of dx [n][in] = dy [n][out] * w' [out][in]; packed holds the transposed piece of
 * w. */
static void linear_tile_input_gradient(real *dx, const real *dy, const real *w, const pmc_linear *s, int64_t n,
                                       int64_t task, real *packed, const real *words) {
    const int64_t in = pmc_padded(s->in), column = task * PMC_TILE_COLUMNS,
                  columns = MIN(PMC_TILE_COLUMNS, in - column);
    const int64_t dx_stride = pmc_vector_stride(s->in), dy_stride = pmc_vector_stride(s->out);
    const int64_t there = words_of(pmc_padded(s->out)), depth = pmc_padded(words_of(s->out));
    real *room = packed + depth * PMC_TILE_COLUMNS;
    linear_transposed(packed, w, words, s, column);
    memset(packed + there * PMC_TILE_COLUMNS, 0, (size_t)((depth - there) * PMC_TILE_COLUMNS) * sizeof *packed);
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
