/* Pictures of one channel, and output channels that are one vector: a filter's rows are so short that gemm.h's loops
 * take as long as its products. Here all taps are one loop, and pixels lie side by side, at distances that the compiler
 * knows. The order of additions is gemm.h's. */
#pragma once
#include "factors.h"

enum { SINGLE = PARTS == 1 && PAIR == 1 }; /* is there code? */
enum { TAPS_MOST = 64, BESIDE_MOST = 28 }; /* pixels side by side, whose sums stay in registers */

/* Where in x each tap is from the first. */
typedef struct {
    int64_t count, pitch; /* from a pixel of the rows to the next */
    int32_t at[TAPS_MOST];
} single_taps;

INLINE int conv_is_single(const pmc_conv *s) {
    return SINGLE && s->in.c == 1 && s->out.c <= VL && s->stride_w == 1 && s->kh * s->kw <= TAPS_MOST;
}

static void single_taps_of(single_taps *taps, const pmc_conv *s, int64_t pitch) {
    taps->count = s->kh * s->kw, taps->pitch = pitch;
    for (int64_t i = 0; i < s->kh; i++)
        for (int64_t j = 0; j < s->kw; j++)
            taps->at[i * s->kw + j] = (int32_t)(i * s->dilation_h * pmc_image_pitch(&s->in) + j * s->dilation_w);
}

/* rows [P][pitch] <- b + the sum over taps of x * packed [taps][VL] */
INLINE void single_microkernel(const int P, real *rows, const real *x, const real *packed, const real *b,
                               const single_taps *taps) {
    vf sum[BESIDE_MOST];
    const vf first = b ? v_load(b) : (vf){0};
#pragma GCC unroll 28
    for (int p = 0; p < P; p++) sum[p] = first;
    for (int64_t t = 0; t < taps->count; t++) {
        const real *from = x + taps->at[t];
        const vf weight = v_load(packed + t * VL);
#pragma GCC unroll 28
        for (int p = 0; p < P; p++) sum[p] = v_fma(v_splat(from[p]), weight, sum[p]);
    }
#pragma GCC unroll 28
    for (int p = 0; p < P; p++) v_store(rows + p * taps->pitch, sum[p]);
}

typedef void single_block(real *rows, const real *x, const real *packed, const real *b, const single_taps *taps);
#define FEW(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14)
#define MANY(F) F(15) F(16) F(17) F(18) F(19) F(20) F(21) F(22) F(23) F(24) F(25) F(26) F(27) F(28)
#define SINGLE_BLOCK(P)                                                                                                \
    static void single_##P(real *rows, const real *x, const real *packed, const real *b, const single_taps *taps) {    \
        single_microkernel(P, rows, x, packed, b, taps);                                                               \
    }
#define SINGLE_ENTRY(P) [P] = SINGLE ? single_##P : NULL,
FEW(SINGLE_BLOCK)
MANY(SINGLE_BLOCK)
static single_block *const single_blocks[BESIDE_MOST + 1] = {FEW(SINGLE_ENTRY) MANY(SINGLE_ENTRY)};

/* rows [pixels][pitch] <- all output channels of a row of pixels of x */
static void single_row(real *rows, const real *x, const real *packed, const real *b, int64_t pixels,
                       const single_taps *taps) {
    for (int64_t begin = 0, some; begin < pixels; begin += some) {
        some = next_block(pixels - begin, BESIDE_MOST);
        single_blocks[some](rows + begin * taps->pitch, x + begin, packed, b, taps);
    }
}
