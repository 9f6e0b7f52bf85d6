/* The matrix product on tiles (amx.h), for what gemm.h does in registers:
 *
 *   out[p][v] = start[v] + sum over i < rows, j < columns, k < length of
 *                          x[p * pixel + i * row + j * column + k] * w[i][j][k][v]
 *
 * x has factors of 16 bits; its runs of `length` are cut into tiles, and what is left of them lies side by side in
 * tiles of its own, which are gathered. The words of w lie in that order. A sum is a chain of tiles, or several. */
#pragma once
#include "amx.h"

typedef struct {
    int64_t rows, columns, length;
    int64_t pixel, row, column; /* factors of x from one to the next */
    int64_t w_pitch, out_pitch; /* reals */
} tile_shape;

INLINE int64_t tile_whole(const tile_shape *s) { return s->length / TILE_FACTORS; }
INLINE int64_t tile_left(const tile_shape *s) { return s->length % TILE_FACTORS; }
/* Factors that are gathered for a row, a multiple of a tile's. */
INLINE int64_t tile_gathered(const tile_shape *s) { return pmc_gathered(s->rows * s->columns, s->length); }
/* Rows of words of w. */
INLINE int64_t tile_words(const tile_shape *s) {
    return s->rows * s->columns * tile_whole(s) * TILE + tile_gathered(s) / 2;
}

/* Rows whose sums are in registers together, of R x C tiles. */
typedef struct {
    const factor *x, *gathered;
    real *out;
} tile_row;

/* sums += a step of each tile of rows, times w */
INLINE void tile_step(const int R, const int C, const factor *first, const factor *second, int64_t pitch, const real *w,
                      int64_t w_pitch) {
    TILE_LOAD(4, first, pitch * (int64_t)sizeof *first);
    TILE_LOAD(6, w, w_pitch * (int64_t)sizeof *w);
    TILE_PRODUCT(0, 4, 6);
    if (C > 1) {
        TILE_LOAD(7, w + TILE, w_pitch * (int64_t)sizeof *w);
        TILE_PRODUCT(1, 4, 7);
    }
    if (R > 1) {
        TILE_LOAD(5, second, pitch * (int64_t)sizeof *second);
        TILE_PRODUCT(2, 5, 6);
        if (C > 1) TILE_PRODUCT(3, 5, 7);
    }
}

INLINE void tile_sums(const int R, const int C, const real *start) {
    static const real zeros[2 * TILE];
    const real *from = start ? start : zeros;
    TILE_LOAD(0, from, 0); /* the same row, `rows` times */
    if (C > 1) TILE_LOAD(1, from + TILE, 0);
    if (R > 1) TILE_LOAD(2, from, 0);
    if (R > 1 && C > 1) TILE_LOAD(3, from + TILE, 0);
}

INLINE void tile_sums_to(const int R, const int C, real *first, real *second, int64_t pitch) {
    pitch *= (int64_t)sizeof *first;
    TILE_STORE(0, first, pitch);
    if (C > 1) TILE_STORE(1, first + TILE, pitch);
    if (R > 1) TILE_STORE(2, second, pitch);
    if (R > 1 && C > 1) TILE_STORE(3, second + TILE, pitch);
}

/* Rows of two tiles beside each other, twice. */
typedef real tile_sum[2][TILE * 2 * TILE];

/* total += the sums of a chain, which then begins anew; first: total is what they are. */
INLINE void tile_chain_ends(const int R, const int C, tile_sum total, int first) {
    tile_sum chain;
    tile_sums_to(R, C, chain[0], chain[1], 2 * TILE);
    for (int e = 0; e < R * TILE * 2 * TILE; e += VL)
        v_store(total[0] + e, first ? v_load(chain[0] + e) : v_load(total[0] + e) + v_load(chain[0] + e));
    tile_sums(R, C, NULL);
}

/* R tiles of rows x C tiles of columns. */
INLINE void tile_block(const int R, const int C, const tile_row *row, const real *w, const real *start, int64_t rows,
                       const tile_shape *s) {
    const int64_t whole = tile_whole(s), gathered = tile_gathered(s), runs = whole ? s->rows * s->columns : 0;
    int64_t steps = 0;
    tile_sum total;
    tile_sums(R, C, start);
    for (int64_t run = 0; run < runs; run++) {
        const int64_t at = run / s->columns * s->row + run % s->columns * s->column;
        for (int64_t k = 0; k < whole; k++, w += TILE * s->w_pitch) {
            if (steps && steps % CHAIN == 0) tile_chain_ends(R, C, total, steps == CHAIN);
            tile_step(R, C, row[0].x + at + k * TILE_FACTORS, row[R - 1].x + at + k * TILE_FACTORS, s->pixel, w,
                      s->w_pitch);
            steps++;
        }
    }
    for (int64_t k = 0; k < gathered; k += TILE_FACTORS, w += TILE * s->w_pitch)
        tile_step(R, C, row[0].gathered + k, row[R - 1].gathered + k, gathered, w, s->w_pitch);
    if (steps <= CHAIN) {
        tile_sums_to(R, C, row[0].out, row[R - 1].out, s->out_pitch);
        return;
    }
    tile_chain_ends(R, C, total, 0);
    for (int r = 0; r < R; r++)
        for (int64_t i = 0; i < rows; i++)
            for (int c = 0; c < C * TILE; c += VL)
                v_store(row[r].out + i * s->out_pitch + c, v_load(total[r] + i * 2 * TILE + c));
}

/* to [rows][tile_gathered] <- what is left of the runs of x, side by side; memory behind it may be written */
static void tile_gather(factor *to, const factor *x, int64_t rows, const tile_shape *s) {
    const int64_t left = tile_left(s), whole = tile_whole(s) * TILE_FACTORS, pitch = tile_gathered(s);
    const __mmask32 there = (__mmask32)((UINT64_C(1) << left) - 1);
    for (int64_t p = 0; p < rows; p++) {
        factor *end = to + p * pitch;
        _mm512_storeu_si512(end + pitch - TILE_FACTORS, _mm512_setzero_si512());
        for (int64_t i = 0; i < s->rows; i++)
            for (int64_t j = 0; j < s->columns; j++, end += left)
                _mm512_mask_storeu_epi16(
                    end, there, _mm512_maskz_loadu_epi16(there, x + p * s->pixel + i * s->row + j * s->column + whole));
    }
}

/* Of `pixels` rows, how many tiles take; the last may begin before the one before it ends, and gives the same again. */
INLINE int64_t tile_rows_of(int64_t pixels) { return equal_parts(pixels, TILE); }

/* out [pixels][out_pitch] for `columns` outputs, a multiple of TILE; room: for what is gathered of two tiles. The tiles
 * have the shape that tile_rows_of says. */
static void tile_gemm(real *out, const factor *x, const real *w, const real *start, int64_t pixels, int64_t columns,
                      factor *room, const tile_shape *s) {
    const int64_t rows = tile_rows_of(pixels), gathered = tile_gathered(s);
    for (int64_t p = 0; p < pixels; p += 2 * rows) {
        const int two = p + rows < pixels;
        tile_row row[2];
        for (int r = 0; r <= two; r++) {
            const int64_t first = MIN(p + r * rows, pixels - rows);
            factor *left = gathered ? room + r * rows * gathered : NULL;
            if (gathered) tile_gather(left, x + first * s->pixel, rows, s);
            row[r] = (tile_row){x + first * s->pixel, left, out + first * s->out_pitch};
        }
        for (int64_t c = 0; c < columns; c += 2 * TILE) {
            const tile_row at[2] = {{row[0].x, row[0].gathered, row[0].out + c},
                                    {row[two].x, row[two].gathered, row[two].out + c}};
            const real *from = start ? start + c : NULL;
            const int wide = c + TILE < columns;
            if (two && wide) tile_block(2, 2, at, w + c, from, rows, s);
            else if (two) tile_block(2, 1, at, w + c, from, rows, s);
            else if (wide) tile_block(1, 2, at, w + c, from, rows, s);
            else tile_block(1, 1, at, w + c, from, rows, s);
        }
    }
}
