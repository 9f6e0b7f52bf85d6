/* Dot products, where there are too few outputs to fill the lanes: small linear layers, and the last one to four
 * channels of a convolution.
 *
 *   out[p][t] = start[t] +
 *       sum over i < rows, e < length of x[p * x_pitch + i * x_row + e] * w[t * w_pitch + i * w_row + e]
 *
 * Lanes go along e: element e of a row is added to partial e % 16, and the 16 partials by one tree, the same on
 * every ISA; of a long row, each stretch by itself. w's rows are padded with zeros to a multiple of 16; of x nothing is
 * read beyond its rows. */
#pragma once
#include "transpose.h"

typedef struct {
    int64_t rows, length;
    int64_t x_pitch, x_row, w_pitch, w_row, out_pitch;
    int adds; /* to what is in out; or else that is overwritten */
} dot_shape;

/* As many dot products at a time as have their partials, of floats, in half of the registers. */
enum {
    DOTS = REGISTERS / 2 * VECTOR_BYTES / (PMC_PAD * (int)sizeof(float)),
    DOT_W = DOTS < 16 ? 2 : 4,
    DOT_X = DOTS / DOT_W
};

/* P rows of x with T of w. */
INLINE void dot_microkernel(const int P, const int T, real *out, const real *x, const real *w, const real *start,
                            const dot_shape *s) {
    vf partial[DOT_X * DOT_W][PARTS];
    for (int i = 0; i < P * T; i++)
        for (int part = 0; part < PARTS; part++) partial[i][part] = (vf){0};
    for (int64_t row = 0; row < s->rows; row++)
        for (int64_t e = 0; e < s->length; e += PMC_PAD)
            for (int part = 0; part < PARTS; part++) {
                const int64_t at = e + part * VL, left = s->length - at;
                const real *from = x + row * s->x_row + at;
                vf value[DOT_X];
                for (int p = 0; p < P; p++, from += s->x_pitch)
                    value[p] = left >= VL ? v_load(from) : v_load_n(from, MAX(left, 0));
                for (int t = 0; t < T; t++) {
                    const vf weight = v_load(w + t * s->w_pitch + row * s->w_row + at);
                    for (int p = 0; p < P; p++)
                        partial[p * T + t][part] = v_fma(value[p], weight, partial[p * T + t][part]);
                }
            }
    real sums[DOT_X * DOT_W];
    sums_of_partials(sums, partial, P * T);
    for (int p = 0; p < P; p++)
        for (int t = 0; t < T; t++) {
            real *to = out + p * s->out_pitch + t;
            *to = sums[p * T + t] + (s->adds ? *to : start ? start[t] : 0);
        }
}

typedef void dot_block(real *out, const real *x, const real *w, const real *start, const dot_shape *s);
#define DOT_BLOCK(P, T)                                                                                                \
    static void dot_##P##x##T(real *out, const real *x, const real *w, const real *start, const dot_shape *s) {        \
        dot_microkernel(P, T, out, x, w, start, s);                                                                    \
    }
#define DOT_BLOCKS_OF(F, P) F(P, 1) F(P, 2) F(P, 3) F(P, 4)
#define DOT_BLOCKS(F) DOT_BLOCKS_OF(F, 1) DOT_BLOCKS_OF(F, 2) DOT_BLOCKS_OF(F, 4)
DOT_BLOCKS(DOT_BLOCK)
_Static_assert((DOT_X == 1 || DOT_X == 2 || DOT_X == 4) && DOT_W <= 4, "there is code for every block");
#define DOT_ENTRY(P, T) [P][T] = ((P) == 1 || (P) == DOT_X) && (T) <= DOT_W ? dot_##P##x##T : NULL,
static dot_block *const dot_blocks[5][5] = {DOT_BLOCKS(DOT_ENTRY)};

/* out [pixels][out_pitch] <- x, w [outputs]; a tree each */
static void dots_tree(real *out, const real *x, const real *w, const real *start, int64_t pixels, int64_t outputs,
                      const dot_shape *s) {
    for (int64_t p = 0, many; p < pixels; p += many) {
        many = pixels - p >= DOT_X ? DOT_X : 1;
        for (int64_t t = 0, some; t < outputs; t += some) {
            some = MIN(DOT_W, outputs - t);
            dot_blocks[many][some](out + p * s->out_pitch + t, x + p * s->x_pitch, w + t * s->w_pitch,
                                   start ? start + t : NULL, s);
        }
    }
}

/* The same of any length: a partial gets one element of 16. */
static void dots(real *out, const real *x, const real *w, const real *start, int64_t pixels, int64_t outputs,
                 const dot_shape *s) {
    const int64_t row = (s->length + PMC_PAD - 1) / PMC_PAD, stretch = stretch_of(s->rows * row);
    dot_shape part = *s;
    if (stretch == s->rows * row) {
        dots_tree(out, x, w, start, pixels, outputs, s);
        return;
    }
    const int64_t rows = MAX(1, stretch / row), length = MIN(row, stretch) * PMC_PAD;
    for (int64_t i = 0; i < s->rows; i += rows)
        for (int64_t e = 0; e < s->length; e += length) {
            part.rows = MIN(rows, s->rows - i), part.length = MIN(length, s->length - e);
            part.adds = i || e;
            dots_tree(out, x + i * s->x_row + e, w + i * s->w_row + e, start, pixels, outputs, &part);
        }
}
