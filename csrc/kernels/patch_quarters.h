/* Sums of scaled patches (patch.h) that begin at any quarter of a line of memory, as those of a picture of 20 channels do:
 * a load across two lines takes as long as two.
 *
 * Nonzeros come in PMC_QUARTERS lists, `pitch` apart: those whose patch begins in the last quarter of a line, and then in
 * the quarters before. Lines are loaded whole, so that sums begin up to three quarters before the patch, and are moved up
 * by one before the next list; what was summed up before the patch moves out. Each element is one chain, on every ISA. */
#pragma once
#include "patch.h"

#if PMC_ISA == PMC_AVX512 && !PMC_DOUBLE && !PMC_BF16
_Static_assert(PMC_QUARTERS_LINES <= PATCH_COLUMNS, "there is code for every row of lines");
INLINE void patch_quarters(const int R, const int C, real *to, const real *from, nonzero *lists, int64_t pitch,
                           const int64_t *counts, int64_t to_row, int64_t from_row, int64_t length) {
    patch_sums sum;
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) sum[r][c] = (vf){0};
    for (int64_t quarter = PMC_QUARTERS - 1;; quarter--, lists += pitch) {
        if (*counts) patch_walk(R, C, sum, from - quarter * PMC_QUARTER, lists, *counts, from_row);
        counts++;
        if (quarter == 0) break;
        for (int r = 0; r < R; r++)
            for (int c = 0; c < C; c++) sum[r][c] = v_quarter_up(sum[r][c], c + 1 < C ? sum[r][c + 1] : (vf){0});
    }
    for (int r = 0; r < R; r++, to += to_row)
        for (int c = 0; c < C; c++) { /* the last one may have moved out of what is there */
            const int64_t left = c < C - 2 ? VL : length - c * VL;
            if (left > 0) v_store_n(to + c * VL, v_load_n(to + c * VL, left) + sum[r][c], left);
        }
}

typedef void patch_quarters_tile(real *to, const real *from, nonzero *lists, int64_t pitch, const int64_t *counts,
                                 int64_t to_row, int64_t from_row, int64_t length);
#define PATCH_QUARTERS(R, C)                                                                                           \
    static void patch_quarters_##R##x##C(real *to, const real *from, nonzero *lists, int64_t pitch,                    \
                                         const int64_t *counts, int64_t to_row, int64_t from_row, int64_t length) {    \
        patch_quarters(R, C, to, from, lists, pitch, counts, to_row, from_row, length);                                \
    }
PATCH_TILES(PATCH_QUARTERS)
#define PATCH_QUARTERS_ENTRY(R, C) [R][C] = (R) * (C) <= ACCUMULATORS ? patch_quarters_##R##x##C : NULL,
static patch_quarters_tile *const patch_quarters_tiles[PATCH_ROWS + 1][PATCH_COLUMNS + 1] = {
    PATCH_TILES(PATCH_QUARTERS_ENTRY)};

static void patch_sum_quarters(real *to, const real *from, nonzero *lists, int64_t pitch, const int64_t *counts,
                               const patch_shape *s) {
    const int64_t columns = (s->length + PMC_PAD - PMC_QUARTER + VL - 1) / VL,
                  most = tile_rows_beside(s->rows, columns);
    for (int64_t r = 0; r < s->rows; r += most) {
        const int64_t rows = MIN(most, s->rows - r);
        patch_quarters_tiles[rows][columns](to + r * s->to_row, from + r * s->from_row, lists, pitch, counts, s->to_row,
                                            s->from_row, s->length);
    }
}
#else /* the same order */
static void patch_sum_quarters(real *to, const factor *from, nonzero *lists, int64_t pitch, const int64_t *counts,
                               const patch_shape *s) {
    int64_t count = counts[0];
    for (int quarter = 1; quarter < PMC_QUARTERS; count += counts[quarter++])
        memmove(lists + count, lists + quarter * pitch, (size_t)counts[quarter] * sizeof *lists);
    patch_sum(to, from, lists, count, s);
}
#endif
