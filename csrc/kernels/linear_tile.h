/* The forward pass of a large linear layer, in registers or on tiles. */
#pragma once
#include "factors.h"
#if PMC_TILES
#include "amx_linear.h"
#else
#include "linear_large.h"
#endif

/* Columns [first, last) of y [n][out] = x [n][in] * w [in][out] + b; x: rows of factors */
static void linear_columns(real *y, factors x, const real *w, const real *words, const real *b, const pmc_linear *s,
                           int64_t n, int64_t first, int64_t last) {
    for (int64_t c = first, width; c < last; c += width) {
        width = linear_width(c, last - c);
        linear_piece(y + c, x, linear_weights(w, words, s, c), b ? b + c : NULL, s, n, width);
    }
}

/* Zeros behind each sample's outputs. */
static void linear_ends(real *y, const pmc_linear *s, int64_t n) {
    const int64_t out = pmc_padded(s->out), stride = pmc_vector_stride(s->out);
    for (int64_t i = 0; i < n; i++) memset(y + i * stride + out, 0, (size_t)(stride - out) * sizeof *y);
}

/* A task: PMC_TILE_ROWS samples x pmc_tile_columns(...) outputs of y [n][out] = x [n][in] * w [in][out] + b. */
static void linear_tile_forward(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n,
                                int64_t task, int64_t parts, real *room, const real *words) {
    const int64_t out = pmc_padded(s->out), width = pmc_tile_columns(n, s->out, parts), tiles = pmc_blocks(out, width);
    const int64_t column = task % tiles * width, row = task / tiles * PMC_TILE_ROWS, rows = MIN(PMC_TILE_ROWS, n - row);
    const int64_t x_stride = pmc_vector_stride(s->in);
    const factors inputs = factors_of_rows(room, x + row * x_stride, rows, s->in, x_stride);
    y += row * pmc_vector_stride(s->out);
    linear_columns(y, inputs, w, words, b, s, rows, column, MIN(out, column + width));
    if (column + width >= out) linear_ends(y, s, rows);
}

/* A microbatch of what may be mostly zeros. */
static void linear_sparse_forward(real *y, const real *x, const real *w, const real *b, const pmc_linear *s, int64_t n,
                                  real *room, const real *words) {
    const factors inputs = factors_of_rows(room, x, n, s->in, pmc_vector_stride(s->in));
#if !PMC_TILES
    if (s->in <= CHAIN && mostly_zeros(x, n, s->in, pmc_vector_stride(s->in)))
        linear_zeros(y, inputs, w, words, b, s, n);
    else
#endif
        linear_columns(y, inputs, w, words, b, s, n, 0, pmc_padded(s->out));
    linear_ends(y, s, n);
}
