/* Sums of scaled patches: what both gradients of a convolution are made of.
 *
 *   to[o][r][v] += sum over nonzeros e of e.value * from[e.index][o][r][v],   o < outer, r < rows, v < length
 *
 * A tile of R x C vectors of the patch stays in registers while the list of nonzeros is walked. Each element is one
 * chain of FMAs in the order of the nonzeros, and then added: the same on every ISA. Loads of `from` may read up to 15
 * elements past its end, and of `nonzeros` one past the last; `to` is touched nowhere else. */
#pragma once
#include "vectors.h"

typedef struct {
    int32_t index;
    real value;
} nonzero;
_Static_assert(sizeof(nonzero) == 2 * sizeof(real), "an nonzero is two lanes");

/* Adds the lanes whose bits are set to the end of a list, which has room for all; returns how many there are. */
INLINE int64_t append_nonzeros(nonzero *list, vi index, vf value, uint32_t bits) {
    const vf indices = v_compress((vf)index, bits), values = v_compress(value, bits);
    v_store((real *)list, v_interleave_low(indices, values));
    v_store((real *)list + VL, v_interleave_high(indices, values));
    return __builtin_popcount(bits);
}

typedef struct {
    int64_t outer, rows, length;
    int64_t to_outer, to_row, from_outer, from_row;
    int64_t tile_rows, tile_columns; /* what stays in registers at a time: patch_tiled */
} patch_shape;

/* Tiles with their own code: up to 3 rows x 8 columns, as far as the accumulators go. */
enum { PATCH_ROWS = 3, PATCH_COLUMNS = 8 };
_Static_assert(ACCUMULATORS / PATCH_COLUMNS > 0, "a row of the widest piece fits the accumulators");
#define PATCH_TILES_OF(F, R) F(R, 1) F(R, 2) F(R, 3) F(R, 4) F(R, 5) F(R, 6) F(R, 7) F(R, 8)
#define PATCH_TILES(F) PATCH_TILES_OF(F, 1) PATCH_TILES_OF(F, 2) PATCH_TILES_OF(F, 3)
#define PATCH_TILE_ENTRY(name, R, C) [R][C] = (R) * (C) <= ACCUMULATORS ? name##_##R##x##C : NULL,

INLINE int64_t tile_rows_beside(int64_t rows, int64_t columns) {
    return equal_parts(rows, MIN(PATCH_ROWS, ACCUMULATORS / columns));
}

INLINE patch_shape patch_tiled(patch_shape s) {
    s.tile_columns = equal_parts((s.length + VL - 1) / VL, PATCH_COLUMNS);
    s.tile_rows = tile_rows_beside(s.rows, s.tile_columns);
    return s;
}

/* The same patch, summed the other way. */
INLINE patch_shape patch_reversed(patch_shape s) {
    const patch_shape forward = s;
    s.to_outer = forward.from_outer, s.to_row = forward.from_row;
    s.from_outer = forward.to_outer, s.from_row = forward.to_row;
    return s;
}

/* `tail`: lanes of the last column that are there. There is at least one nonzero: a loop that may be empty makes GCC
 * keep the sums in memory around it. */
INLINE void patch_microkernel(const int R, const int C, real *to, const real *from, const nonzero *nonzeros,
                              int64_t count, int64_t to_row, int64_t from_row, int64_t tail) {
    vf sum[PATCH_ROWS][PATCH_COLUMNS];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) sum[r][c] = (vf){0};
    const nonzero *end = nonzeros + count;
    int64_t index = nonzeros->index; /* read one index ahead: loads then need not wait for their address */
    do {
        const real *row = one_pointer(from + index);
        const vf value = v_splat(nonzeros->value);
        index = (++nonzeros)->index;
        for (int r = 0; r < R; r++, row = one_pointer(row + from_row))
            for (int c = 0; c < C; c++) sum[r][c] = v_fma(value, v_load(row + c * VL), sum[r][c]);
    } while (nonzeros < end);
    for (int r = 0; r < R; r++) {
        real *at = to + r * to_row;
        for (int c = 0; c < C - 1; c++, at += VL) v_store(at, v_load(at) + sum[r][c]);
        v_store_n(at, v_load_n(at, tail) + sum[r][C - 1], tail);
    }
}

typedef void patch_tile(real *to, const real *from, const nonzero *nonzeros, int64_t count, int64_t to_row,
                        int64_t from_row, int64_t tail);
#define PATCH_TILE(R, C)                                                                                               \
    static void patch_##R##x##C(real *to, const real *from, const nonzero *nonzeros, int64_t count, int64_t to_row,    \
                                int64_t from_row, int64_t tail) {                                                      \
        patch_microkernel(R, C, to, from, nonzeros, count, to_row, from_row, tail);                                    \
    }
PATCH_TILES(PATCH_TILE)
#define PATCH_ENTRY(R, C) PATCH_TILE_ENTRY(patch, R, C)
static patch_tile *const patch_tiles[PATCH_ROWS + 1][PATCH_COLUMNS + 1] = {PATCH_TILES(PATCH_ENTRY)};

static void patch_sum(real *to, const real *from, const nonzero *nonzeros, int64_t count, const patch_shape *s) {
    const int64_t vectors = (s->length + VL - 1) / VL;
    if (count == 0) return;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t c = 0; c < vectors; c += s->tile_columns)
            for (int64_t r = 0; r < s->rows; r += s->tile_rows) {
                const int64_t columns = MIN(s->tile_columns, vectors - c), rows = MIN(s->tile_rows, s->rows - r);
                patch_tiles[rows][columns](to + o * s->to_outer + r * s->to_row + c * VL,
                                           from + o * s->from_outer + r * s->from_row + c * VL, nonzeros, count,
                                           s->to_row, s->from_row, s->length - (c + columns - 1) * VL);
            }
}
