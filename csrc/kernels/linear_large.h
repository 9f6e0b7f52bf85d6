/* Large linear layers, of TILES scope: w [in][pmc_linear_pitch], three matrix products cut into tasks, all on gemm.h; those with
 * pictures are in linear_sparse.h. Their factors may be of bfloat16: then a task packs those that are not words yet.
 * amx_linear.h is the same on tiles of AMX. */
#pragma once
#include "linear_bias.h"
#include "linear_sparse.h"
#include "linear_words.h"

/* Rows of the weights that one sample's sums go through together: streams that the processor fetches ahead. */
enum { STREAMS = 8, STREAM_COLUMNS = 512 };

/* sum [columns] += x [words] * w [words][pitch], of R inputs `at`, in their order. */
INLINE void linear_rows(const int R, real *sum, const real *x, factors w, const int64_t *at, int64_t columns) {
    vf value[STREAMS];
    const real *row[STREAMS];
    for (int r = 0; r < R; r++) value[r] = v_splat_word(x + at[r]), row[r] = w.at + at[r] * w.pitch;
    for (int64_t c = 0; c < columns; c += VL) {
        vf of_column = v_load(sum + c);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) of_column = v_product(value[r], v_load(row[r] + c), of_column);
        v_store(sum + c, of_column);
    }
}

/* One sample: y [columns] = x [words] * w [words][pitch] + b, with gemm's order of additions. The weights are read once,
 * row by row, and those of inputs that are zero not at all, exact for finite weights: what takes time is memory. */
static void linear_row(real *y, const real *x, factors w, const real *b, int64_t words, int64_t columns) {
    const int64_t stretch = stretch_of(PAIR * words) / PAIR;
    real piece[STREAM_COLUMNS];
    for (int64_t c = 0; c < columns; c += STREAM_COLUMNS) {
        const int64_t width = MIN(STREAM_COLUMNS, columns - c);
        const factors here = {w.at + c, w.pitch};
        for (int64_t k = 0; k < words; k += stretch) {
            const int64_t end = MIN(words, k + stretch);
            int64_t at[STREAMS], count = 0;
            for (int64_t v = 0; v < width; v += VL) v_store(piece + v, k == 0 && b ? v_load(b + c + v) : (vf){0});
            for (int64_t i = k; i < end; i += SEEN)
                for (uint64_t left = seen_of(x + i, end - i); left; left &= left - 1) {
                    at[count++] = i + __builtin_ctzll(left);
                    if (count < STREAMS) continue;
                    linear_rows(STREAMS, piece, x, here, at, width);
                    count = 0;
                }
            for (int64_t r = 0; r < count; r++) linear_rows(1, piece, x, here, at + r, width);
            for (int64_t v = 0; v < width; v += VL)
                v_store(y + c + v, k ? v_load(y + c + v) + v_load(piece + v) : v_load(piece + v));
        }
    }
}

/* Rows of the weights that are fetched ahead: a few lines of each are read, which no processor foresees. */
enum { ROWS_AHEAD = 12 };

/* y [n][columns] = x [n][in] * w [in][columns] + b */
static void linear_piece(real *y, factors x, factors w, const real *b, const pmc_linear *s, int64_t n,
                         int64_t columns) {
    const gemm_shape product = {.rows = 1,
                                .columns = 1,
                                .length = words_of(s->in),
                                .pixel = x.pitch,
                                .step = 1,
                                .w_pitch = w.pitch,
                                .ahead = ROWS_AHEAD * w.pitch,
                                .out_pitch = pmc_vector_stride(s->out)};
    if (n == 1) linear_row(y, x.at, w, b, product.length, columns);
    else gemm(y, x.at, w.at, b, n, columns, &product);
}

/* A task: dw, PMC_TILE_BAND rows of x' [in][n] * dy [n][out]; the task after the last band is db. */
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
            real *to = dw + column;
            const factors gradients =
                factors_of_columns(room + words_of(n) * samples.pitch, dy + column, n, columns, dy_stride);
            const gemm_shape product = {.rows = 1,
                                        .columns = 1,
                                        .length = words_of(n),
                                        .pixel = 1,
                                        .step = samples.pitch,
                                        .w_pitch = gradients.pitch,
                                        .out_pitch = pmc_linear_pitch(s)};
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
                                       int64_t task, real *packed, const real *words) {
    const int64_t in = pmc_padded(s->in), column = task * PMC_TILE_COLUMNS, length = words_of(s->out);
    const int64_t columns = MIN(PMC_TILE_COLUMNS, in - column), block = PAIR == 1 ? n : PMC_TILE_ROWS;
    const int64_t dx_stride = pmc_vector_stride(s->in), dy_stride = pmc_vector_stride(s->out);
    real *room = packed + words_of(pmc_padded(s->out)) * PMC_TILE_COLUMNS;
    linear_transposed(packed, w, words, s, column);
    for (int64_t row = 0; row < n; row += block) {
        const int64_t rows = MIN(block, n - row);
        const factors gradients = factors_of_rows(room, dy + row * dy_stride, rows, s->out, dy_stride);
        const gemm_shape product = {.rows = 1,
                                    .columns = 1,
                                    .length = length,
                                    .pixel = gradients.pitch,
                                    .step = 1,
                                    .w_pitch = PMC_TILE_COLUMNS,
                                    .out_pitch = dx_stride};
        gemm(dx + row * dx_stride + column, gradients.at, packed, NULL, rows, columns, &product);
    }
    if (column + columns >= in)
        for (int64_t i = 0; i < n; i++) memset(dx + i * dx_stride + in, 0, (size_t)(dx_stride - in) * sizeof *dx);
}
