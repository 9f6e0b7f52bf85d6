/* Large linear layers, of TILES scope: w [in][out, padded], three matrix products cut into tasks, all on gemm.h; those with
 * pictures are in linear_sparse.h. Their factors may be of bfloat16: then a task packs what it reads. amx_linear.h is the
 * same on tiles of AMX. */
#pragma once
#include "linear_bias.h"
#include "linear_sparse.h"
#include "transpose.h"

/* Rows of the weights that one sample's sums go through together: streams that the processor fetches ahead. */
enum { STREAMS = 8, STREAM_COLUMNS = 512 };

/* sum [columns] += x [R words] * w [R * PAIR][pitch], in the order of the rows; second: as v_words has it. */
INLINE void linear_rows(const int R, real *sum, const real *x, const real *w, int64_t columns, int64_t pitch,
                        int64_t second) {
    for (int64_t c = 0; c < columns; c += VL) {
        vf value = v_load(sum + c);
        for (int r = 0; r < R; r++)
            value = v_product(v_splat_word(x + r), v_words(w + r * PAIR * pitch + c, second), value);
        v_store(sum + c, value);
    }
}

/* One sample: y [columns] = x [in] * w [in][pitch] + b, with gemm's order of additions. The weights are read once, row by
 * row: what takes time is memory. */
static void linear_row(real *y, const real *x, const real *w, const real *b, int64_t in, int64_t columns,
                       int64_t pitch) {
    const int64_t words = words_of(in), stretch = stretch_of(PAIR * words) / PAIR;
    real piece[STREAM_COLUMNS];
    for (int64_t c = 0; c < columns; c += STREAM_COLUMNS) {
        const int64_t width = MIN(STREAM_COLUMNS, columns - c);
        for (int64_t k = 0; k < words; k += stretch) {
            const int64_t end = MIN(words, k + stretch);
            int64_t i = k;
            for (int64_t v = 0; v < width; v += VL) v_store(piece + v, k == 0 && b ? v_load(b + c + v) : (vf){0});
            for (; i + STREAMS <= end - in % PAIR; i += STREAMS)
                linear_rows(STREAMS, piece, x + i, w + i * PAIR * pitch + c, width, pitch, pitch);
            for (; i < end; i++)
                linear_rows(1, piece, x + i, w + i * PAIR * pitch + c, width, pitch, (i + 1) * PAIR > in ? 0 : pitch);
            for (int64_t v = 0; v < width; v += VL)
                v_store(y + c + v, k ? v_load(y + c + v) + v_load(piece + v) : v_load(piece + v));
        }
    }
}

/* A task: PMC_TILE_ROWS samples x pmc_tile_columns(...) outputs of y [n][out] = x [n][in] * w [in][out] + b. */
static void linear_tile_forward(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n,
                                int64_t task, int64_t parts, real *room) {
    const int64_t out = pmc_padded(s->out), width = pmc_tile_columns(n, s->out, parts), tiles = pmc_blocks(out, width);
    const int64_t column = task % tiles * width, row = task / tiles * PMC_TILE_ROWS;
    const int64_t x_stride = pmc_vector_stride(s->in), y_stride = pmc_vector_stride(s->out);
    const int64_t rows = MIN(PMC_TILE_ROWS, n - row), columns = MIN(width, out - column);
    const factors inputs = factors_of_rows(room, x + row * x_stride, rows, s->in, x_stride);
    if (n == 1) linear_row(y + column, inputs.at, w + column, b ? b + column : NULL, s->in, columns, out);
    else {
        const factors weights = factors_of_columns(room + rows * inputs.pitch, w + column, s->in, columns, out);
        const gemm_shape product = {.rows = 1,
                                    .columns = 1,
                                    .length = words_of(s->in),
                                    .pixel = inputs.pitch,
                                    .step = 1,
                                    .w_pitch = weights.pitch,
                                    .out_pitch = y_stride};
        gemm(y + row * y_stride + column, inputs.at, weights.at, b ? b + column : NULL, rows, columns, &product);
    }
    if (column + width >= out)
        for (int64_t i = row; i < row + rows; i++)
            memset(y + i * y_stride + out, 0, (size_t)(y_stride - out) * sizeof *y);
}

/* A task: PMC_TILE_BAND rows of dw [in][out] = x' [in][n] * dy [n][out]; the task after the last band is db. */
static void linear_tile_weight_gradient(real *dw, real *db, const real *dy, const real *x, const pmc_linear *s,
                                        int64_t n, int64_t task, real *room) {
    const int64_t out = pmc_padded(s->out), row = task * PMC_TILE_BAND, dy_stride = pmc_vector_stride(s->out);
    const int64_t x_stride = pmc_vector_stride(s->in);
    if (row < s->in) {
        const int64_t inputs = MIN(PMC_TILE_BAND, s->in - row), width = PAIR == 1 ? out : PMC_PACKED_COLUMNS;
        const int sparse = s->sparse && n >= PMC_PAD && n <= CHAIN && mostly_zeros(x + row, n, inputs, x_stride);
        const factors samples = factors_of_columns(room, x + row, n, inputs, x_stride);
        for (int64_t column = 0; column < out; column += width) {
            const int64_t columns = MIN(width, out - column);
            real *to = dw + row * out + column;
            const factors gradients =
                factors_of_columns(room + words_of(n) * samples.pitch, dy + column, n, columns, dy_stride);
            const gemm_shape product = {.rows = 1,
                                        .columns = 1,
                                        .length = words_of(n),
                                        .pixel = 1,
                                        .step = samples.pitch,
                                        .w_pitch = gradients.pitch,
                                        .out_pitch = out};
            if (sparse) linear_sparse_weight_gradient(to, gradients.at, samples.at, inputs, columns, &product);
            else gemm(to, samples.at, gradients.at, NULL, inputs, columns, &product);
        }
        return;
    }
    linear_bias_gradient(db, dy, s, n);
}

/* A task: PMC_TILE_COLUMNS inputs of dx [n][in] = dy [n][out] * w' [out][in]; packed [out][PMC_TILE_COLUMNS]
 * holds the transposed piece of w. */
static void linear_tile_input_gradient(real *dx, const real *dy, const real *w, const pmc_linear *s, int64_t n,
                                       int64_t task, real *packed) {
    const int64_t in = pmc_padded(s->in), out = pmc_padded(s->out), column = task * PMC_TILE_COLUMNS;
    const int64_t columns = MIN(PMC_TILE_COLUMNS, in - column), there = MIN(columns, s->in - column);
    const int64_t dx_stride = pmc_vector_stride(s->in), dy_stride = pmc_vector_stride(s->out);
    const int64_t words = words_of(s->out), block = PAIR == 1 ? n : PMC_TILE_ROWS;
    real *room = packed + words * PMC_TILE_COLUMNS;
    const factors weights = factors_of_rows(room, w + column * out, there, s->out, out);
    transpose(packed, weights.at, there, words, columns, PMC_TILE_COLUMNS, weights.pitch);
    for (int64_t row = 0; row < n; row += block) {
        const int64_t rows = MIN(block, n - row);
        const factors gradients = factors_of_rows(room, dy + row * dy_stride, rows, s->out, dy_stride);
        const gemm_shape product = {.rows = 1,
                                    .columns = 1,
                                    .length = words,
                                    .pixel = gradients.pitch,
                                    .step = 1,
                                    .w_pitch = PMC_TILE_COLUMNS,
                                    .out_pitch = dx_stride};
        gemm(dx + row * dx_stride + column, gradients.at, packed, NULL, rows, columns, &product);
    }
    if (column + columns >= in)
        for (int64_t i = 0; i < n; i++) memset(dx + i * dx_stride + in, 0, (size_t)(dx_stride - in) * sizeof *dx);
}
