/* A large linear layer whose x is mostly zeros, as pictures are. Only those terms are added up whose x is not zero:
 * exact for finite weights, and in the order of gemm.h, the same bits. */
#pragma once
#include "gemm.h"
#include "linear_words.h"

enum {
    TOGETHER = 32,                   /* samples that share weights in L1 */
    PROBED = 6,                      /* samples that tell whether there are zeros */
    SEEN = 64,                       /* bits of a word */
    SEEN_MOST = 4,                   /* words of a sample's inputs at a time */
    RESIDENT = 65536 / sizeof(real), /* weights at a time: about half of their rows are skipped, the others are in L1 */
};

/* Is it worth looking for the zeros of rows of x? The first ones tell. */
static int mostly_zeros(const real *x, int64_t n, int64_t columns, int64_t stride) {
    int64_t others = 0;
    n = MIN(n, PROBED);
    for (int64_t i = 0; i < n; i++, x += stride)
        for (int64_t e = 0; e < columns; e += VL) others += __builtin_popcount(v_nonzero(v_load_n(x + e, columns - e)));
    return 2 * others < n * columns;
}

/* Which of the next 64 words are not zero; behind n there are none. */
INLINE uint64_t seen_of(const real *x, int64_t n) {
    uint64_t bits = 0;
    if (n >= SEEN)
        for (int e = 0; e < SEEN; e += VL) bits |= (uint64_t)v_seen(v_load(x + e)) << e;
    else
        for (int64_t e = 0; e < n; e += VL) bits |= (uint64_t)v_seen(v_load_n(x + e, n - e)) << e;
    return bits;
}

/* Terms x[k * step] * w[k * pitch + v], of those k whose bit is set. */
typedef struct {
    const uint64_t *bits;
    int64_t count; /* of their words */
    int64_t step, pitch, panel;
} seen_terms;

/* Where in w a column is: words are in panels, so far apart. */
INLINE int64_t seen_column(int64_t c, int64_t panel) {
    return PAIR == 1 ? c : c / PMC_PACKED_COLUMNS * panel + c % PMC_PACKED_COLUMNS;
}

/* out[v] += the sum of the terms, for V vectors. GCC keeps sums in registers if every loop over them is unrolled. */
INLINE void seen_microkernel(const int V, real *out, const real *x, const real *w, const seen_terms *s) {
    const int64_t step = s->step, pitch = s->pitch, panel = s->panel;
    vf sum[8];
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) sum[v] = v_load(out + v * VL);
    for (int64_t e = 0; e < s->count; e++, x += SEEN * step, w += SEEN * pitch)
        for (uint64_t left = s->bits[e]; left; left &= left - 1) {
            const int64_t k = __builtin_ctzll(left);
            const vf value = v_splat_word(x + k * step);
#pragma GCC unroll 8
            for (int v = 0; v < V; v++)
                sum[v] = v_product(value, v_load(w + k * pitch + seen_column(v * VL, panel)), sum[v]);
        }
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) v_store(out + v * VL, sum[v]);
}

typedef void seen_block(real *out, const real *x, const real *w, const seen_terms *s);
#define SEEN_BLOCK(V)                                                                                                  \
    static void seen_##V(real *out, const real *x, const real *w, const seen_terms *s) {                               \
        seen_microkernel(V, out, x, w, s);                                                                             \
    }
SEEN_BLOCK(1)
SEEN_BLOCK(4)
SEEN_BLOCK(8)

/* out [columns] += the sum of the terms; columns: a multiple of VL. */
static void seen_sums(real *out, const real *x, const real *w, int64_t columns, const seen_terms *s) {
    for (int64_t c = 0, vectors; c < columns; c += vectors * VL) {
        const int64_t left = (columns - c) / VL;
        vectors = left >= 8 ? 8 : left >= 4 ? 4 : 1;
        seen_block *block = vectors == 8 ? seen_8 : vectors == 4 ? seen_4 : seen_1;
        block(out + c, x, w + seen_column(c, s->panel), s);
    }
}

/* y [n][out] = x [n][in] * w [in][out] + b for no more than TOGETHER samples: some rows of the weights at a time, which
 * come from L2 once for all of them. */
static void linear_zeros_of_some(real *y, factors x, const real *w, const real *words, const real *b,
                                 const pmc_linear *s, int64_t n) {
    const int64_t out = pmc_padded(s->out), y_stride = pmc_vector_stride(s->out), length = words_of(s->in);
    const int64_t count = MIN(MAX(RESIDENT / SEEN / out, 1), SEEN_MOST);
    const int64_t whole = PAIR == 1 ? out : out / PMC_PACKED_COLUMNS * PMC_PACKED_COLUMNS; /* panels; one is narrower */
    uint64_t bits[TOGETHER][SEEN_MOST];
    for (int64_t i = 0; i < n; i++)
        for (int64_t e = 0; e < out; e += VL) v_store(y + i * y_stride + e, b ? v_load(b + e) : (vf){0});
    for (int64_t first = 0; first < length; first += count * SEEN) {
        const int64_t some = MIN(count * SEEN, length - first);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < some; k += SEEN)
                bits[i][k / SEEN] = seen_of(x.at + i * x.pitch + first + k, some - k);
        for (int64_t c = 0, width; c < out; c += width) {
            const factors weights = linear_weights(w, words, s, c);
            width = c < whole ? whole : out - whole;
            for (int64_t i = 0; i < n; i++) {
                const seen_terms terms = {bits[i], pmc_blocks(some, SEEN), 1, weights.pitch,
                                          pmc_linear_depth(s) * PMC_PACKED_COLUMNS};
                seen_sums(y + i * y_stride + c, x.at + i * x.pitch + first, weights.at + first * weights.pitch, width,
                          &terms);
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

/* `inputs` rows of dw = x' * dy, of `columns` columns, which are gemm's product of these; so many samples at a
 * time that their dy is in L1 for all inputs. */
static void linear_sparse_weight_gradient(real *dw, const real *dy, const real *x, int64_t inputs, int64_t columns,
                                          const gemm_shape *product) {
    const int64_t x_stride = product->step, dy_stride = product->w_pitch, out = product->out_pitch;
    lane seen[SEEN]; /* of each sample, or pair of samples, a bit an input, of 16 */
    for (int64_t k = 0; k < inputs; k++) memset(dw + k * out, 0, (size_t)columns * sizeof *dw);
    for (int64_t first = 0; first < product->length; first += SEEN, x += SEEN * x_stride, dy += SEEN * dy_stride) {
        const int64_t samples = MIN(SEEN, product->length - first);
        for (int64_t k = 0; k < inputs; k++) {
            uint64_t bits = 0;
            for (int64_t i = 0; k % PMC_PAD == 0 && i < samples; i++) {
                uint32_t of_sample = 0;
                for (int part = 0; part < PARTS; part++) {
                    const int64_t at = k + part * VL;
                    of_sample |= v_seen(v_load_n(x + i * x_stride + at, MAX(inputs - at, 0))) << part * VL;
                }
                seen[i] = (lane)of_sample;
            }
            for (int64_t i = 0; i < samples; i += VL) {
                const vi of_input = (vi)v_load_n((const real *)(seen + i), samples - i) & (lane)1 << k % PMC_PAD;
                bits |= (uint64_t)v_nonzero_lanes(of_input) << i;
            }
            const seen_terms terms = {&bits, 1, x_stride, dy_stride, PMC_PACKED_COLUMNS};
            seen_sums(dw + k * out, x + k, dy, columns, &terms);
        }
    }
}
