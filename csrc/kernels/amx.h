/* A tile, a product and a store: Intel's AMX. A tile is 16 rows of 64 bytes, in one of eight registers:
 *
 *   0 to 3  sums     [rows][16]   of float32
 *   4, 5    factors  [rows][32]   of bfloat16, along a sum
 *   6, 7    words    [16][16]     of two factors each, which follow each other along a sum (factors.h)
 *
 * A product adds to each sum its 32 products: those of the words' first factors, one after the other, and those of
 * their second, and then both. PMC_AMX_EMULATED: the same by C, for tests on machines without, and where every byte
 * that is read has to be seen. */
#pragma once
#include "factors.h"

enum { TILE = 16, TILE_FACTORS = PMC_TILE_FACTORS };
_Static_assert((int)VL == TILE && PAIR == 2, "a row of words is a vector");

#ifdef PMC_AMX_EMULATED

static _Thread_local struct {
    int64_t rows;
    uint32_t tile[8][TILE][TILE];
} emulated;

static void tiles_shape(int64_t rows) { emulated.rows = rows; }
static void tiles_release(void) { emulated.rows = 0; }

static void tile_load(int tile, const void *from, int64_t pitch) {
    for (int64_t i = 0; i < (tile < 6 ? emulated.rows : TILE); i++)
        memcpy(emulated.tile[tile][i], (const char *)from + i * pitch, sizeof emulated.tile[tile][i]);
}
static void tile_store(int tile, void *to, int64_t pitch) {
    for (int64_t i = 0; i < emulated.rows; i++)
        memcpy((char *)to + i * pitch, emulated.tile[tile][i], sizeof emulated.tile[tile][i]);
}
static void tile_multiply(int sums, int rows, int words) {
    for (int64_t i = 0; i < emulated.rows; i++) {
        vf sum, of_first = {0}, of_second = {0};
        for (int64_t k = 0; k < TILE; k++) {
            const vf a = (vf)v_splat_lane((lane)emulated.tile[rows][i][k]);
            const vf b = v_load((const real *)emulated.tile[words][k]);
            of_first = v_fma((vf)((vi)a << 16), (vf)((vi)b << 16), of_first);
            of_second = v_fma((vf)((vi)a & -0x10000), (vf)((vi)b & -0x10000), of_second);
        }
        memcpy(&sum, emulated.tile[sums][i], sizeof sum);
        sum += of_first + of_second;
        memcpy(emulated.tile[sums][i], &sum, sizeof sum);
    }
}
#define TILE_LOAD(tile, from, pitch) tile_load(tile, from, pitch)
#define TILE_STORE(tile, to, pitch) tile_store(tile, to, pitch)
#define TILE_PRODUCT(sums, rows, words) tile_multiply(sums, rows, words)

#else

/* The shapes of this thread's tiles, until they are released: then the system has less to save. */
INLINE void tiles_shape(int64_t rows) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) shape.bytes[tile] = 64, shape.rows[tile] = tile < 6 ? (uint8_t)rows : TILE;
    __asm__ volatile("ldtilecfg %0" : : "m"(shape));
}
INLINE void tiles_release(void) { __asm__ volatile("tilerelease" : : : "memory"); }

/* Registers have to be named when this is compiled; bytes from one row to the next. */
#define TILE_LOAD(tile, from, pitch)                                                                                   \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(from), "r"((int64_t)(pitch)) : "memory")
#define TILE_STORE(tile, to, pitch)                                                                                    \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(to), "r"((int64_t)(pitch)) : "memory")
#define TILE_PRODUCT(sums, rows, words) __asm__ volatile("tdpbf16ps %%tmm" #words ", %%tmm" #rows ", %%tmm" #sums : :)

#endif

/* What every speed is a share of: the operations of products that wait for nothing, of tiles of zeros. */
static double tile_peak(int64_t repeats) {
    tiles_shape(TILE);
    for (int64_t r = 0; r < repeats; r++) {
        TILE_PRODUCT(0, 4, 6);
        TILE_PRODUCT(1, 4, 7);
        TILE_PRODUCT(2, 5, 6);
        TILE_PRODUCT(3, 5, 7);
    }
    tiles_release();
    return 4. * 2 * TILE * TILE * TILE_FACTORS * (double)repeats;
}
