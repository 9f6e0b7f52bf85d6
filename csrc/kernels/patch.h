/* Sums of scaled patches: what both gradients of a convolution are made of.
 *
 *   to[o][r][v] += sum over nonzeros e of e.value * from[e.index][o][r][v],   o < outer, r < rows, v < length
 *
 * A tile of R x C vectors of the patch stays in registers while the list of nonzeros is walked. Each element is one
 * chain of FMAs in the order of the nonzeros, and then added: the same on every ISA. Loads of `from` may read up to 31
 * elements past its end, and of `nonzeros` one past the last; `to` is touched nowhere else.
 *
 * In bfloat16 `from` has factors of 16 bits, and nonzeros are taken two at a time: their patches are woven into words on the
 * way to the products. */
#pragma once
#include "factors.h"

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
enum { PATCH_ROWS = 3, PATCH_COLUMNS = 8, COLUMN = PAIR * VL /* elements of a column */ };
_Static_assert(ACCUMULATORS / PATCH_COLUMNS > 0, "a row of the widest piece fits the accumulators");
#define PATCH_TILES_OF(F, R) F(R, 1) F(R, 2) F(R, 3) F(R, 4) F(R, 5) F(R, 6) F(R, 7) F(R, 8)
#define PATCH_TILES(F) PATCH_TILES_OF(F, 1) PATCH_TILES_OF(F, 2) PATCH_TILES_OF(F, 3)
#define PATCH_TILE_ENTRY(name, R, C) [R][C] = (R) * (C) <= ACCUMULATORS ? name##_##R##x##C : NULL,

INLINE int64_t tile_rows_beside(int64_t rows, int64_t columns) {
    return equal_parts(rows, MIN(PATCH_ROWS, ACCUMULATORS / columns));
}

INLINE patch_shape patch_tiled(patch_shape s) {
    s.tile_columns = equal_parts((s.length + COLUMN - 1) / COLUMN, MIN(PATCH_COLUMNS, ACCUMULATORS / PAIR));
    s.tile_rows = tile_rows_beside(s.rows, PAIR * s.tile_columns);
    return s;
}

/* The same patch, summed the other way. */
INLINE patch_shape patch_reversed(patch_shape s) {
    const patch_shape forward = s;
    s.to_outer = forward.from_outer, s.to_row = forward.from_row;
    s.from_outer = forward.to_outer, s.from_row = forward.to_row;
    return s;
}

/* p, in one register: see one_pointer. */
INLINE const factor *one_factor(const factor *p) {
    __asm__("" : "+r"(p));
    return p;
}

typedef vf patch_sums[PATCH_ROWS][PAIR * PATCH_COLUMNS];

/* There is at least one nonzero: a loop that may be empty makes GCC keep the sums in memory around it. */
#if PMC_BF16
INLINE void patch_walk(const int R, const int C, patch_sums sum, const factor *from, const nonzero *nonzeros,
                       int64_t count, int64_t from_row) {
    const nonzero *end = nonzeros + count;
    do {
        const factor *a = one_factor(from + nonzeros[0].index), *b = one_factor(from + nonzeros[1].index);
        const vf values = v_splat_pair(&nonzeros[0].value, &nonzeros[1].value);
        nonzeros += 2;
        for (int r = 0; r < R; r++, a = one_factor(a + from_row), b = one_factor(b + from_row))
            for (int c = 0; c < C; c++) {
                vf words[2];
                v_weave(words, a + c * COLUMN, b + c * COLUMN);
                for (int v = 0; v < 2; v++) sum[r][2 * c + v] = v_product(values, words[v], sum[r][2 * c + v]);
            }
    } while (nonzeros < end);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) v_unweave(sum[r] + 2 * c);
}
#else
INLINE void patch_walk(const int R, const int C, patch_sums sum, const factor *from, const nonzero *nonzeros,
                       int64_t count, int64_t from_row) {
    const nonzero *end = nonzeros + count;
    int64_t index = nonzeros->index; /* read one index ahead: loads then need not wait for their address */
    do {
        const real *row = one_factor(from + index);
        const vf value = v_splat(nonzeros->value);
        index = (++nonzeros)->index;
        for (int r = 0; r < R; r++, row = one_factor(row + from_row))
            for (int c = 0; c < C; c++) sum[r][c] = v_fma(value, v_load(row + c * VL), sum[r][c]);
    } while (nonzeros < end);
}
#endif

/* to <- old + the sums, where old is to, or rows of zeros; `tail`: elements of the last column that are there. */
INLINE void patch_microkernel(const int R, const int C, real *to, const real *old, const factor *from,
                              const nonzero *nonzeros, int64_t count, int64_t to_row, int64_t from_row, int64_t tail) {
    patch_sums sum;
    const int64_t old_row = old == to ? to_row : 0;
    for (int r = 0; r < R; r++)
        for (int v = 0; v < PAIR * C; v++) sum[r][v] = (vf){0};
    patch_walk(R, C, sum, from, nonzeros, count, from_row);
    for (int r = 0; r < R; r++, to += to_row, old += old_row) {
        int64_t e = 0;
        for (int v = 0; v < PAIR * (C - 1); v++, e += VL) v_store(to + e, v_load(old + e) + sum[r][v]);
        int64_t left = tail;
        for (int v = PAIR * (C - 1); v < PAIR * C && left > 0; v++, e += VL, left -= VL)
            v_store_n(to + e, v_load_n(old + e, left) + sum[r][v], left);
    }
}

typedef void patch_tile(real *to, const real *old, const factor *from, const nonzero *nonzeros, int64_t count,
                        int64_t to_row, int64_t from_row, int64_t tail);
#define PATCH_TILE(R, C)                                                                                               \
    static void patch_##R##x##C(real *to, const real *old, const factor *from, const nonzero *nonzeros, int64_t count, \
                                int64_t to_row, int64_t from_row, int64_t tail) {                                      \
        patch_microkernel(R, C, to, old, from, nonzeros, count, to_row, from_row, tail);                               \
    }
PATCH_TILES(PATCH_TILE)
#define PATCH_ENTRY(R, C) [R][C] = (R) * (C)*PAIR <= ACCUMULATORS ? patch_##R##x##C : NULL,
static patch_tile *const patch_tiles[PATCH_ROWS + 1][PATCH_COLUMNS + 1] = {PATCH_TILES(PATCH_ENTRY)};

static void patch_sum(real *to, const factor *from, nonzero *nonzeros, int64_t count, const patch_shape *s) {
    const int64_t columns_there = (s->length + COLUMN - 1) / COLUMN;
    if (count == 0) return;
    if (count % PAIR) nonzeros[count] = (nonzero){nonzeros[count - 1].index, 0};
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t c = 0; c < columns_there; c += s->tile_columns)
            for (int64_t r = 0; r < s->rows; r += s->tile_rows) {
                const int64_t columns = MIN(s->tile_columns, columns_there - c), rows = MIN(s->tile_rows, s->rows - r);
                real *at = to + o * s->to_outer + r * s->to_row + c * COLUMN;
                patch_tiles[rows][columns](at, at, from + o * s->from_outer + r * s->from_row + c * COLUMN, nonzeros,
                                           count, s->to_row, s->from_row, s->length - (c + columns - 1) * COLUMN);
            }
}

/* The sums of n lists, `pitch` apart, as `from` lies, each in a place of its own: sums [n][from]. Of all a tile is made, and
 * then the next, so that no more of `patches` patches is read at a time than L1 holds beside them. In full precision. */
static void patch_sums_apart(real *sums, int64_t sums_pitch, const factor *from, int64_t patches, const nonzero *lists,
                             int64_t pitch, const int64_t *counts, int64_t n, const patch_shape *s) {
    enum { L1_SHARE = 40 * 1024 };
    static const real zeros[PATCH_COLUMNS * COLUMN];
    const int64_t columns_there = (s->length + COLUMN - 1) / COLUMN;
    const int64_t row = patches * s->tile_columns * COLUMN * (int64_t)sizeof *from;
    const int64_t tile_rows = MAX(1, MIN(s->tile_rows, L1_SHARE / row));
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t c = 0; c < columns_there; c += s->tile_columns)
            for (int64_t r = 0; r < s->rows; r += tile_rows) {
                const int64_t columns = MIN(s->tile_columns, columns_there - c), rows = MIN(tile_rows, s->rows - r);
                const int64_t at = o * s->from_outer + r * s->from_row + c * COLUMN;
                patch_tile *tile = patch_tiles[rows][columns];
                for (int64_t i = 0; i < n; i++)
                    if (counts[i])
                        tile(sums + i * sums_pitch + at, zeros, from + at, lists + i * pitch, counts[i], s->from_row,
                             s->from_row, s->length - (c + columns - 1) * COLUMN);
            }
}

/* to += sums that were made apart */
static void patch_add(real *to, const real *sums, const patch_shape *s) {
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t r = 0; r < s->rows; r++) {
            real *at = to + o * s->to_outer + r * s->to_row;
            const real *sum = sums + o * s->from_outer + r * s->from_row;
            int64_t e = 0;
            for (; e + VL <= s->length; e += VL) v_store(at + e, v_load(at + e) + v_load(sum + e));
            if (e < s->length) v_store_n(at + e, v_load_n(at + e, s->length - e) + v_load(sum + e), s->length - e);
        }
}
