/* A large linear layer whose x is mostly zeros, as pictures are. Of two samples, or inputs, abreast only those terms are
 * added up in which one is not zero: exact for finite weights, and in the order of gemm.h, the same bits. */
#pragma once
#include "gemm.h"
#include "linear_words.h"

enum { ABREAST = 2, TOGETHER = 32, LISTED = 1024, PROBED = 6 };
enum { RESIDENT = 40960 / sizeof(real), RESIDENT_MOST = 256 }; /* reals and rows of weights that L1 holds */

/* Is it worth making lists for rows of x? The first ones tell. */
static int mostly_zeros(const real *x, int64_t n, int64_t columns, int64_t stride) {
    int64_t others = 0;
    n = MIN(n, PROBED);
    for (int64_t i = 0; i < n; i++, x += stride)
        for (int64_t e = 0; e < columns; e += VL)
            others += __builtin_popcount(v_bits(v_load_n(x + e, columns - e) != 0));
    return 2 * others < n * columns;
}

/* first, first + 1, ... */
INLINE vi numbers_from(int64_t first) {
    vi v;
    for (int l = 0; l < VL; l++) v[l] = (lane)l;
    return v + (lane)first;
}

/* Appends the lanes whose bits are set to a list, which has room for all; returns how many there are. */
INLINE int64_t append_numbers(lane *list, vi numbers, uint32_t bits) {
    v_store((real *)list, v_compress((vf)numbers, bits));
    return __builtin_popcount(bits);
}

/* The k of x[p * row + k * step] and of w[k * pitch + v] that are in a list: of words. */
typedef struct {
    int64_t row, step, pitch, out_pitch, count;
    const lane *list;
} listed;

/* out[p][v] += the sum over the list of x[p][k] * w[k][v], for P rows of V vectors */
INLINE void listed_microkernel(const int P, const int V, real *out, const real *x, const real *w, const listed *s) {
    vf sum[ABREAST][8];
    for (int p = 0; p < P; p++)
        for (int v = 0; v < V; v++) sum[p][v] = v_load(out + p * s->out_pitch + v * VL);
    for (int64_t e = 0; e < s->count; e++) {
        const real *value = x + s->list[e] * s->step, *from = w + s->list[e] * s->pitch;
        vf weight[8];
#pragma GCC unroll 8
        for (int v = 0; v < V; v++) weight[v] = v_load(from + v * VL);
#pragma GCC unroll 2
        for (int p = 0; p < P; p++)
#pragma GCC unroll 8
            for (int v = 0; v < V; v++) sum[p][v] = v_product(v_splat_word(value + p * s->row), weight[v], sum[p][v]);
    }
    for (int p = 0; p < P; p++)
        for (int v = 0; v < V; v++) v_store(out + p * s->out_pitch + v * VL, sum[p][v]);
}

typedef void listed_block(real *out, const real *x, const real *w, const listed *s);
#define LISTED_BLOCK(P, V)                                                                                             \
    static void listed_##P##x##V(real *out, const real *x, const real *w, const listed *s) {                           \
        listed_microkernel(P, V, out, x, w, s);                                                                        \
    }
#define LISTED_BLOCKS(P) LISTED_BLOCK(P, 1) LISTED_BLOCK(P, 4) LISTED_BLOCK(P, 8)
LISTED_BLOCKS(1)
LISTED_BLOCKS(2)
#define LISTED_ENTRIES(P) [P] = {listed_##P##x1, listed_##P##x4, (P)*8 <= ACCUMULATORS ? listed_##P##x8 : NULL}
static listed_block *const listed_blocks[ABREAST + 1][3] = {LISTED_ENTRIES(1), LISTED_ENTRIES(2)};

/* Some rows of out, `columns` of them, a multiple of VL. */
static void listed_sums(real *out, const real *x, const real *w, int64_t rows, int64_t columns, const listed *s) {
    for (int64_t column = 0, vectors; column < columns; column += vectors * VL) {
        const int64_t left = (columns - column) / VL;
        const int wide = left >= 8 && rows * 8 <= ACCUMULATORS ? 2 : left >= 4;
        vectors = wide ? 4 * wide : 1;
        listed_blocks[rows][wide](out + column, x, w + column, s);
    }
}

/* Rows of so many columns that stay in L1, of 32 KiB or 48, while samples read some of them: whole vectors of inputs. */
INLINE int64_t resident_rows(int64_t columns) { return MIN(RESIDENT_MOST, MAX(VL, RESIDENT / columns / VL * VL)); }

/* y [n][out] = x [n][in] * w [in][out] + b for no more than TOGETHER samples: some rows of the weights at a time, which
 * come from L2 once for all of them. */
static void linear_zeros_of_some(real *y, factors x, const real *w, const real *words, const real *b,
                                 const pmc_linear *s, int64_t n) {
    const int64_t out = pmc_padded(s->out), y_stride = pmc_vector_stride(s->out), length = words_of(s->in);
    const int64_t rows = resident_rows(linear_width(0, out));
    lane lists[TOGETHER / ABREAST][RESIDENT_MOST + VL];
    int64_t counts[TOGETHER / ABREAST];
    for (int64_t i = 0; i < n; i++)
        for (int64_t e = 0; e < out; e += VL) v_store(y + i * y_stride + e, b ? v_load(b + e) : (vf){0});
    for (int64_t first = 0; first < length; first += rows) {
        const int64_t some = MIN(rows, length - first);
        for (int64_t i = 0; i < n; i += ABREAST) {
            lane *list = lists[i / ABREAST];
            int64_t count = 0;
            for (int64_t k = 0; k < some; k += VL) {
                vi seen = (vi){0};
                for (int64_t p = i; p < MIN(n, i + ABREAST); p++)
                    seen |= v_seen(v_load_n(x.at + p * x.pitch + first + k, some - k));
                count += append_numbers(list + count, numbers_from(k), v_bits(seen));
            }
            counts[i / ABREAST] = count;
        }
        for (int64_t c = 0, width; c < out; c += width) {
            const factors weights = linear_weights(w, words, s, c);
            width = linear_width(c, out - c);
            for (int64_t i = 0; i < n; i += ABREAST) {
                const listed sums = {x.pitch, 1, weights.pitch, y_stride, counts[i / ABREAST], lists[i / ABREAST]};
                listed_sums(y + i * y_stride + c, x.at + i * x.pitch + first, weights.at + first * weights.pitch,
                            MIN(ABREAST, n - i), width, &sums);
            }
        }
    }
}

/* The same of any number. Rows of factors are mostly zeros, and no more than a chain: cut into stretches, a sum would not be
 * the same without its zeros. */
static void linear_zeros(real *y, factors x, const real *w, const real *words, const real *b, const pmc_linear *s,
                         int64_t n) {
    for (int64_t i = 0; i < n; i += TOGETHER)
        linear_zeros_of_some(y + i * pmc_vector_stride(s->out), (factors){x.at + i * x.pitch, x.pitch}, w, words, b, s,
                             MIN(TOGETHER, n - i));
}

/* `inputs` rows of dw = x' * dy, of `columns` columns, which are gemm's product of these */
static void linear_sparse_weight_gradient(real *dw, const real *dy, const real *x, int64_t inputs, int64_t columns,
                                          const gemm_shape *product) {
    const int64_t x_stride = product->step, dy_stride = product->w_pitch, out = product->out_pitch;
    lane list[LISTED + VL], seen[LISTED + VL]; /* of each sample, or pair of samples, a bit an input, of 16 */
    listed sums = {.row = 1, .step = x_stride, .pitch = dy_stride, .out_pitch = out, .list = list};
    for (int64_t i = 0; i < inputs; i++) memset(dw + i * out, 0, (size_t)columns * sizeof *dw);
    for (int64_t first = 0; first < product->length;
         first += LISTED, x += LISTED * x_stride, dy += LISTED * dy_stride) {
        const int64_t samples = MIN(LISTED, product->length - first);
        for (int64_t k = 0; k < inputs; k += ABREAST) {
            const lane these = (lane)((1 << ABREAST) - 1) << k % PMC_PAD;
            for (int64_t i = 0; k % PMC_PAD == 0 && i < samples; i++) {
                uint32_t bits = 0;
                for (int part = 0; part < PARTS; part++) {
                    const int64_t at = k + part * VL;
                    bits |= v_bits(v_seen(v_load_n(x + i * x_stride + at, MAX(inputs - at, 0)))) << part * VL;
                }
                seen[i] = (lane)bits;
            }
            sums.count = 0;
            for (int64_t i = 0; i < samples; i += VL) {
                const vi bits = (vi)v_load_n((const real *)(seen + i), samples - i) & these;
                sums.count += append_numbers(list + sums.count, numbers_from(i), v_bits(bits != 0));
            }
            listed_sums(dw + k * out, x + k, dy, MIN(ABREAST, inputs - k), columns, &sums);
        }
    }
}
