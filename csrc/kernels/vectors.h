/* What kernels are written in: vectors of an instruction set (simd.h), or, for a thread of a GPU, of one lane. */
#pragma once
#include "../kernels.h"
#ifdef PMC_ISA
#include "simd.h"
#else
#include "scalar.h"
#endif

/* A longer sum than this is cut into stretches, each a sum of its own, which are then added up: rounding errors grow
 * with the root of its length. Where it is cut is a function of its length alone. */
enum { CHAIN = 2048 };
INLINE int64_t stretch_of(int64_t length) {
    int64_t stretch = CHAIN / 4;
    while (stretch * stretch < length) stretch *= 2;
    return length <= CHAIN ? length : stretch;
}

/* A sum of any length: of sums of 64, of sums of 64, ... */
typedef struct {
    vf sum[4];
    int64_t count;
} cascade;
INLINE void carry(cascade *s) {
    int64_t count = ++s->count;
    for (int i = 0; i < 3 && count % 64 == 0; i++, count /= 64) s->sum[i + 1] += s->sum[i], s->sum[i] = (vf){0};
}
INLINE void add_value(cascade *s, vf value) {
    s->sum[0] += value;
    carry(s);
}
INLINE void add_product(cascade *s, vf a, vf b) {
    s->sum[0] = v_fma(a, b, s->sum[0]);
    carry(s);
}
INLINE vf sum_of(const cascade *s) { return s->sum[3] + s->sum[2] + (s->sum[1] + s->sum[0]); }

/* The size of equal parts, each at most `most`. */
INLINE int64_t equal_parts(int64_t size, int64_t most) {
    const int64_t parts = (size + most - 1) / most;
    return (size + parts - 1) / parts;
}

/* The size of the next block of what is left: `most`, or about half of the last two. Divisions by it would take longer. */
INLINE int64_t next_block(int64_t left, int64_t most) { return left <= most ? left : MIN(most, (left + 1) / 2); }
