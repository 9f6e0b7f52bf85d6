/* The one matrix-product kernel: forward convolution and all products of large linear layers.
 *
 *   out[p][v] = start[v] + sum over i < rows, j < columns, k < length of
 *                          x[p * pixel + i * row + j * column + k * step] * w[i][j][k][v]
 *
 * where in bfloat16 k goes over words of two factors (factors.h). A filter whose rows lie together in memory is one
 * column of length kw * c; a matrix has one row and one column. Lanes v go across output channels, so that every output is one chain of FMAs in the order of
 * (i, j, k), or, of a long sum, several: the same on every ISA. */
#pragma once
#include "factors.h"

typedef struct {
    int64_t rows, columns, length;    /* words along k, */
    int64_t odd;                      /* and half a word behind them, or 0 */
    int64_t pixel, row, column, step; /* elements of x from one to the next */
    int64_t w_pitch, out_pitch;
    int64_t ahead; /* elements of w from what is used to what is fetched into L1, which may be behind its end; or 0 */
} gemm_shape;

/* Pixels whose sums, of V vectors each, fit the registers beside V weights and a value. Three vectors are for what would
 * be two and one, which loads as much as it multiplies; with few registers, two are as good. */
#define MR(V) ((REGISTERS - 1 - (V)) / (V))
enum { MR_MAX = MR(2), MR_THREE = REGISTERS < 32 ? 0 : MR(3), MR_WIDE = MR(4), NR_MAX = 4 * VL };

/* With few registers blocks are small, and the instructions around their FMAs count, above all where another thread shares
 * the core: long rows of consecutive words are then read WORDS at a time. */
enum { WORDS = PMC_ISA == PMC_AVX2 ? 4 : 1, LINE = 64 / VECTOR_BYTES /* vectors of a line of the cache */ };

/* Pixels that share a pointer, of W words at a time. An address adds `pixel` once or twice by itself; three times takes a
 * register, and where there are several words there is none. */
#define GROUP(W) ((W) > 1 ? 3 : 4)
enum { GROUPS = (MR_MAX + 3) / 4 };
_Static_assert(WORDS == 1 || (MR_MAX + 2) / 3 == GROUPS, "as many pointers, of three pixels or four");

/* sum [P][V] <- start [V], or zeros */
INLINE void gemm_begin(const int P, const int V, vf (*sum)[4], const real *start) {
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
        const vf first = start ? v_load(start + v * VL) : (vf){0};
#pragma GCC unroll 14
        for (int p = 0; p < P; p++) sum[p][v] = first;
    }
}

/* out [P][pitch] <- sum [P][V] */
INLINE void gemm_end(const int P, const int V, real *out, vf (*sum)[4], int64_t pitch) {
#pragma GCC unroll 14
    for (int p = 0; p < P; p++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) v_store(out + p * pitch + v * VL, sum[p][v]);
}

/* sum += x * w, the word `at` of each pixel; x: a pointer for each `group` of them. half: only the first of a word's
 * factors. */
INLINE void gemm_step(const int P, const int V, const int W, const int group, const int half, vf (*sum)[4],
                      const real *const *x, const int at, const real *w, int64_t pixel, int64_t pixel3) {
    vf weight[4];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) weight[v] = v_load(w + v * VL);
#pragma GCC unroll 14
    for (int p = 0; p < P; p++) {
        vf value = v_splat_word(x[p / group] + (group == 4 && p % group == 3 ? pixel3 : p % group * pixel) + at);
        if (half) value = v_first_of_pair(value);
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            sum[p][v] = W > 1 ? v_fma_in_place(value, weight[v], sum[p][v]) : v_product(value, weight[v], sum[p][v]);
    }
}

/* P pixels x V vectors, in registers. Few pixels take many vectors: their chains of FMAs hide each other's latency. W: rows
 * of consecutive words are read so many at a time. */
INLINE void gemm_microkernel(const int P, const int V, const int W, real *out, const real *x, const real *w,
                             const real *start, const gemm_shape *s) {
    vf sum[MR_MAX][4];
    const int64_t pixel = s->pixel, pixel3 = 3 * s->pixel;
    int64_t apart = pixel;
    gemm_begin(P, V, sum, start);
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t j = 0; j < s->columns; j++) {
            const real *of[GROUPS];
            of[0] = x + i * s->row + j * s->column;
#pragma GCC unroll 4
            for (int g = 1; g < GROUPS; g++) of[g] = of[g - 1] + GROUP(W) * pixel;
            int64_t k = 0;
            for (; W > 1 && k + W <= s->length; k += W) {
#pragma GCC unroll 4
                for (int word = 0; word < W; word++) {
#pragma GCC unroll 4
                    for (int v = 0; v < V; v += LINE) __builtin_prefetch(w + s->ahead + v * VL);
                    __asm__("" : "+r"(apart)); /* or else GCC keeps the place of every word in a register of its own */
                    gemm_step(P, V, W, GROUP(W), 0, sum, of, word, w, apart, pixel3);
                    w += s->w_pitch;
                }
#pragma GCC unroll 4
                for (int g = 0; g < GROUPS; g++) of[g] += W;
            }
            for (; k < s->length; k++) {
                for (int v = 0; v < V; v += LINE) __builtin_prefetch(w + s->ahead + v * VL);
                gemm_step(P, V, W, GROUP(W), 0, sum, of, 0, w, pixel, pixel3);
#pragma GCC unroll 4
                for (int g = 0; g < GROUPS; g++) of[g] += s->step;
                w += s->w_pitch;
            }
            if (PAIR == 1 || !s->odd) continue;
            gemm_step(P, V, W, GROUP(W), 1, sum, of, 0, w, pixel, pixel3);
            w += s->w_pitch;
        }
    gemm_end(P, V, out, sum, s->out_pitch);
}

/* The same of one row and one column whose pixels lie side by side and whose words are `step` apart, as of a weight
 * gradient: W words at a time have one pointer. */
INLINE void gemm_across(const int P, const int V, const int W, real *out, const real *x, const real *w,
                        const real *start, const gemm_shape *s) {
    vf sum[MR_MAX][4];
    const int64_t pitch3 = 3 * s->w_pitch, step3 = 3 * s->step;
    int64_t pitch = s->w_pitch, step = s->step, k = 0;
    gemm_begin(P, V, sum, start);
    for (; k + W <= s->length; k += W) {
#pragma GCC unroll 4
        for (int word = 0; word < W; word++) {
            __asm__("" : "+r"(pitch), "+r"(step)); /* or else GCC keeps four pointers of each */
            const real *of[1] = {x + (word == 3 ? step3 : word * step)};
            gemm_step(P, V, W, P, 0, sum, of, 0, w + (word == 3 ? pitch3 : word * pitch), 1, 3);
        }
        x += W * s->step, w += W * s->w_pitch;
    }
    for (; k < s->length; k++, x += s->step, w += s->w_pitch) {
        const real *of[1] = {x};
        gemm_step(P, V, W, P, 0, sum, of, 0, w, 1, 3);
    }
    gemm_end(P, V, out, sum, s->out_pitch);
}

typedef void gemm_block(real *out, const real *x, const real *w, const real *start, const gemm_shape *s);

/* Blocks with their own code: 1 to MR_MAX pixels x 1 or 2 vectors, 1 to MR_THREE pixels x 3, 1 to MR_WIDE pixels x 4. */
#define ROWS(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14)
_Static_assert(MR_MAX <= 14, "there is code for every block");
#define GEMM_BLOCK(P, V)                                                                                               \
    static void gemm_##P##x##V(real *out, const real *x, const real *w, const real *start, const gemm_shape *s) {      \
        gemm_microkernel(P, V, 1, out, x, w, start, s);                                                                \
    }                                                                                                                  \
    static void gemm_##P##x##V##_long(real *out, const real *x, const real *w, const real *start,                      \
                                      const gemm_shape *s) {                                                           \
        gemm_microkernel(P, V, WORDS, out, x, w, start, s);                                                            \
    }                                                                                                                  \
    static void gemm_##P##x##V##_across(real *out, const real *x, const real *w, const real *start,                    \
                                        const gemm_shape *s) {                                                         \
        gemm_across(P, V, WORDS, out, x, w, start, s);                                                                 \
    }
#define GEMM_BLOCKS(P) GEMM_BLOCK(P, 1) GEMM_BLOCK(P, 2) GEMM_BLOCK(P, 3) GEMM_BLOCK(P, 4)
ROWS(GEMM_BLOCKS)
#define GEMM_ENTRY(P, V, MOST) ((P) <= (MOST) ? gemm_##P##x##V : NULL)
#define LONG_ENTRY(P, V, MOST) (WORDS > 1 && (P) <= (MOST) ? gemm_##P##x##V##_long : NULL)
#define ACROSS_ENTRY(P, V, MOST) (WORDS > 1 && (P) <= (MOST) ? gemm_##P##x##V##_across : NULL)
#define GEMM_ENTRIES(P)                                                                                                \
    [P] = {NULL, GEMM_ENTRY(P, 1, MR_MAX), GEMM_ENTRY(P, 2, MR_MAX), GEMM_ENTRY(P, 3, MR_THREE),                       \
           GEMM_ENTRY(P, 4, MR_WIDE)},
#define LONG_ENTRIES(P)                                                                                                \
    [P] = {NULL, LONG_ENTRY(P, 1, MR_MAX), LONG_ENTRY(P, 2, MR_MAX), LONG_ENTRY(P, 3, MR_THREE),                       \
           LONG_ENTRY(P, 4, MR_WIDE)},
#define ACROSS_ENTRIES(P)                                                                                              \
    [P] = {NULL, ACROSS_ENTRY(P, 1, MR_MAX), ACROSS_ENTRY(P, 2, MR_MAX), ACROSS_ENTRY(P, 3, MR_THREE),                 \
           ACROSS_ENTRY(P, 4, MR_WIDE)},
static gemm_block *const gemm_blocks[3][15][5] = {{ROWS(GEMM_ENTRIES)}, {ROWS(LONG_ENTRIES)}, {ROWS(ACROSS_ENTRIES)}};

/* out [pixels][out_pitch] for `columns` outputs, a multiple of VL, in blocks of pixels; one chain each. */
static void gemm_chain(real *out, const real *x, const real *w, const real *start, int64_t pixels, int64_t columns,
                       const gemm_shape *s) {
    enum { PLAIN, LONG, ACROSS };
    const int is_long = WORDS > 1 && s->length >= 2 * WORDS;
    const int is_across = is_long && s->pixel == 1 && s->rows * s->columns == 1;
    const int kind = is_across ? ACROSS : is_long && s->step == 1 ? LONG : PLAIN;
    for (int64_t column = 0, vectors; column < columns; column += vectors * VL) {
        const int64_t left = (columns - column) / VL;
        vectors = pixels <= MR_WIDE && left >= 4 ? 4 : left == 3 && MR_THREE > 0 ? 3 : MIN(left, 2);
        const int64_t most = vectors == 3 ? MR_THREE : MR_MAX;
        for (int64_t pixel = 0, size; pixel < pixels; pixel += size) {
            size = next_block(pixels - pixel, most);
            gemm_blocks[kind][size][vectors](out + pixel * s->out_pitch + column, x + pixel * s->pixel, w + column,
                                             start ? start + column : NULL, s);
        }
    }
}

/* out [pixels][out_pitch] <- a long sum: piece by piece, each a chain of several rows or, where they are long, of a part
 * of one. pixels and columns: a block's at most. */
static void gemm_pieces(real *out, const real *x, const real *w, const real *start, int64_t pixels, int64_t columns,
                        int64_t stretch, const gemm_shape *s) {
    const int64_t tap = s->length + s->odd, row = s->columns * tap, rows = MAX(1, stretch / row);
    const int64_t taps = row <= stretch ? s->columns : MAX(1, stretch / tap), length = MIN(tap, stretch);
    real piece[MR_MAX * NR_MAX];
    for (int64_t i = 0; i < s->rows; i += rows)
        for (int64_t j = 0; j < s->columns; j += taps)
            for (int64_t k = 0; k < tap; k += length) {
                gemm_shape part = *s;
                part.rows = MIN(rows, s->rows - i), part.columns = MIN(taps, s->columns - j);
                part.length = MIN(length, s->length - k), part.odd = s->odd && k + length >= tap;
                part.out_pitch = columns;
                gemm_chain(piece, x + i * s->row + j * s->column + k * s->step,
                           w + ((i * s->columns + j) * tap + k) * s->w_pitch, i || j || k ? NULL : start, pixels,
                           columns, &part);
                for (int64_t p = 0; p < pixels; p++)
                    for (int64_t c = 0; c < columns; c += VL) {
                        real *to = out + p * s->out_pitch + c;
                        const vf sum = v_load(piece + p * columns + c);
                        v_store(to, i || j || k ? v_load(to) + sum : sum);
                    }
            }
}

/* The same of any length. */
static void gemm(real *out, const real *x, const real *w, const real *start, int64_t pixels, int64_t columns,
                 const gemm_shape *s) {
    const int64_t length = s->rows * s->columns * (s->length + s->odd), stretch = stretch_of(PAIR * length) / PAIR;
    if (stretch == length) {
        gemm_chain(out, x, w, start, pixels, columns, s);
        return;
    }
    for (int64_t c = 0; c < columns; c += NR_MAX)
        for (int64_t p = 0; p < pixels; p += MR_MAX)
            gemm_pieces(out + p * s->out_pitch + c, x + p * s->pixel, w + c, start ? start + c : NULL,
                        MIN(MR_MAX, pixels - p), MIN(NR_MAX, columns - c), stretch, s);
}
