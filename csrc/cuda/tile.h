/* Products in tiles: what convolutions and large linear layers are made of.
 *
 * A block computes TILE_ROWS x TILE_COLUMNS sums, each thread FRAGMENT of them in registers. Piece by piece of the
 * depth, its threads bring both factors to shared memory, each in its own way, and then add their products, so that
 * every sum is a chain of FMAs in the order of the depth, or several, of a long one.
 *
 * If it is asked for, tensor cores take the products instead: factors are rounded to TF32 (10 bits behind the point) or
 * bfloat16 (7 bits), their products are exact and are added up as float32. Elsewhere than on tensor cores, FMAs of
 * rounded factors take their place. */
#pragma once
#include "grid.h"

enum { TILE_ROWS = 64, TILE_COLUMNS = 32, TILE_DEPTH = 16, FRAGMENT = TILE_ROWS * TILE_COLUMNS / THREADS };
enum { WARP = 32, CORE_ROWS = 16, CORE_COLUMNS = 8, APART = 4 /* banks of shared memory */ };

typedef real factor_rows[TILE_DEPTH][TILE_ROWS + APART];
typedef real factor_columns[TILE_DEPTH][TILE_COLUMNS + APART];
typedef real fragment[FRAGMENT];
#define FOR_FRAGMENT(e) UNROLL for (int e = 0; e < FRAGMENT; e++)

/* A thread's sums: of a stretch of the depth, which are added to those of the stretches before it at its end. */
typedef struct {
    fragment now, before;
    int64_t depth;
} tile_sums;
INLINE void tile_begin(tile_sums *s, int e, real start) { s->now[e] = start, s->before[e] = 0, s->depth = 0; }
INLINE real tile_sum(const tile_sums *s, int e) { return s->before[e] + s->now[e]; }

/* Where a thread's sum e lies in the tile: in squares of 4 x 4; or, a warp having CORE_ROWS rows, where the tensor
 * cores' products of CORE_ROWS x CORE_COLUMNS leave it (PTX ISA, mma.m16n8k8 and m16n8k16). */
typedef struct {
    int row, column;
} fragment_place;
INLINE fragment_place fragment_at(int64_t precision, int t, int e) {
    const int across = TILE_COLUMNS / 4, lane = t % WARP;
    const fragment_place square = {t / across * 4 + e / 4, t % across * 4 + e % 4};
    const fragment_place core = {t / WARP * CORE_ROWS + lane / 4 + e % 4 / 2 * 8,
                                 e / 4 * CORE_COLUMNS + lane % 4 * 2 + e % 2};
    return precision == PMC_FULL ? square : core;
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800 && !PMC_DOUBLE
#define TENSOR_CORES 1

INLINE uint32_t to_tf32(float v) {
    uint32_t bits;
    __asm__("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
    return bits;
}
INLINE uint32_t to_bf16_pair(float low, float high) {
    uint32_t bits;
    __asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

/* sum += a' * b, a warp's CORE_ROWS rows; lane l has rows l / 4 and l / 4 + 8 of a, columns l / 4 of b. */
BLOCK tile_add_on_cores(fragment sum, const factor_rows a, const factor_columns b, int t, int64_t precision) {
    const int row = t / WARP * CORE_ROWS + t % WARP / 4, quad = t % 4, column = t % WARP / 4;
    if (precision == PMC_TF32) {
        UNROLL for (int k = quad; k < TILE_DEPTH; k += 8) {
            const uint32_t a0 = to_tf32(a[k][row]), a1 = to_tf32(a[k][row + 8]);
            const uint32_t a2 = to_tf32(a[k + 4][row]), a3 = to_tf32(a[k + 4][row + 8]);
            UNROLL for (int e = 0; e < FRAGMENT; e += 4) {
                const uint32_t b0 = to_tf32(b[k][e / 4 * CORE_COLUMNS + column]);
                const uint32_t b1 = to_tf32(b[k + 4][e / 4 * CORE_COLUMNS + column]);
                __asm__("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                        "{%8, %9}, {%0, %1, %2, %3};"
                        : "+f"(sum[e]), "+f"(sum[e + 1]), "+f"(sum[e + 2]), "+f"(sum[e + 3])
                        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
            }
        }
        return;
    }
    const int k = 2 * quad, behind = k + 8;
    const uint32_t a0 = to_bf16_pair(a[k][row], a[k + 1][row]);
    const uint32_t a1 = to_bf16_pair(a[k][row + 8], a[k + 1][row + 8]);
    const uint32_t a2 = to_bf16_pair(a[behind][row], a[behind + 1][row]);
    const uint32_t a3 = to_bf16_pair(a[behind][row + 8], a[behind + 1][row + 8]);
    UNROLL for (int e = 0; e < FRAGMENT; e += 4) {
        const int at = e / 4 * CORE_COLUMNS + column;
        const uint32_t b0 = to_bf16_pair(b[k][at], b[k + 1][at]), b1 = to_bf16_pair(b[behind][at], b[behind + 1][at]);
        __asm__("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                "{%0, %1, %2, %3};"
                : "+f"(sum[e]), "+f"(sum[e + 1]), "+f"(sum[e + 2]), "+f"(sum[e + 3])
                : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }
}
#else
#define TENSOR_CORES 0

/* v with the bits that TF32 or bfloat16 keep, to the nearest; ties go away from 0, or to even. */
INLINE real rounded(real v, int64_t precision) {
    const float single = (float)v;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    if ((bits >> 23 & 0xff) == 0xff) return v;
    if (precision == PMC_TF32) bits = (bits + 0x1000) & ~0x1fffu;
    else bits = (bits + 0x7fff + (bits >> 16 & 1)) & ~0xffffu;
    float result;
    memcpy(&result, &bits, sizeof result);
    return (real)result;
}
#endif

/* sum += a' * b, a piece of the depth */
BLOCK tile_add_piece(fragment sum, const factor_rows a, const factor_columns b, int t, int64_t precision) {
    if (precision == PMC_FULL) {
        const fragment_place first = fragment_at(PMC_FULL, t, 0);
        for (int k = 0; k < TILE_DEPTH; k++) {
            real rows[4], columns[4];
            UNROLL for (int r = 0; r < 4; r++) rows[r] = a[k][first.row + r];
            UNROLL for (int c = 0; c < 4; c++) columns[c] = b[k][first.column + c];
            FOR_FRAGMENT(e) sum[e] = v_fma(rows[e / 4], columns[e % 4], sum[e]);
        }
        return;
    }
#if TENSOR_CORES
    tile_add_on_cores(sum, a, b, t, precision);
#else
    for (int k = 0; k < TILE_DEPTH; k++) FOR_FRAGMENT(e) {
            const fragment_place at = fragment_at(precision, t, e);
            sum[e] = v_fma(rounded(a[k][at.row], precision), rounded(b[k][at.column], precision), sum[e]);
        }
#endif
}

BLOCK tile_add(tile_sums *sums, const factor_rows a, const factor_columns b, int t, int64_t precision) {
    tile_add_piece(sums->now, a, b, t, precision);
    sums->depth += TILE_DEPTH;
    if (sums->depth % CHAIN) return;
    FOR_FRAGMENT(e) sums->before[e] += sums->now[e], sums->now[e] = 0;
}

/* The tile of a block, where tiles of columns follow each other. */
typedef struct {
    int64_t row, column, rest; /* first row and column; what is left of the block's number */
} tile;
INLINE int64_t tiles_of(int64_t rows, int64_t columns) {
    return blocks_of(rows, TILE_ROWS) * blocks_of(columns, TILE_COLUMNS);
}
INLINE tile tile_of(int64_t block, int64_t rows, int64_t columns) {
    const int64_t across = blocks_of(columns, TILE_COLUMNS), down = blocks_of(rows, TILE_ROWS);
    const tile this_one = {block / across % down * TILE_ROWS, block % across * TILE_COLUMNS, block / across / down};
    return this_one;
}
