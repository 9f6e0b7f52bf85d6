/* The vector type of simd.h with one lane: what a thread of a GPU computes with. What is written for vectors (elements,
 * losses, optimizers, random numbers) is then a thread's work on one of them, too: nothing is written twice. */
#pragma once

#include "../shapes.h"

#include <math.h>
#include <string.h>

#define INLINE PMC_INLINE __attribute__((always_inline))
#define KERNEL PMC_INLINE
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define VECTOR_BYTES 8 /* of random words */

#if PMC_DOUBLE
typedef int64_t lane;
#else
typedef int32_t lane;
#endif
enum { VL = 1, PARTS = PMC_PAD };

typedef real vf;
typedef lane vi;

INLINE vf v_load(const real *p) { return *p; }
INLINE void v_store(real *p, vf v) { *p = v; }
INLINE vf v_load_n(const real *p, int64_t n) { return n > 0 ? *p : 0; }
INLINE void v_store_n(real *p, vf v, int64_t n) {
    if (n > 0) *p = v;
}
INLINE vf v_splat(real s) { return s; }
INLINE real v_first(vf v) { return v; }
INLINE vf v_keep_n(vf v, int64_t n) { return n > 0 ? v : 0; }
INLINE vf v_select(int mask, vf yes, vf no) { return mask ? yes : no; }
INLINE vi v_splat_lane(lane s) { return s; }
INLINE int v_words_at_least(const uint32_t *words, uint32_t threshold) { return *words >= threshold; }
INLINE vi v_select_lane(vi mask, vi yes, vi no) { return mask ? yes : no; }
INLINE vf v_gather(const real *p, vi at, vf otherwise) { return at < 0 ? otherwise : p[at]; }
INLINE vf v_to_real(vi v) { return (vf)v; }
INLINE vi v_to_lane(vf v) { return (vi)v; }
INLINE vf v_finite(vf x) { return x - x; }
INLINE int all_finite(vf nan_or_zero) { return nan_or_zero == 0; }

INLINE real sum_partials(const vf partial[PARTS]) {
    vf sum[PARTS];
    for (int i = 0; i < PARTS; i++) sum[i] = partial[i];
    for (int half = PARTS / 2; half; half /= 2)
        for (int i = 0; i < half; i++) sum[i] += sum[i + half];
    return sum[0];
}

/* Words of 32 bits, as philox multiplies and interleaves them. */
typedef uint64_t vw;
INLINE vw v_multiply_words(vw a, uint32_t b) { return (a & 0xFFFFFFFFu) * b; }
INLINE vw v_interleave_words_low(vw a, vw b) { return (void)b, a; }
INLINE vw v_interleave_words_high(vw a, vw b) { return (void)a, b; }

/* Functions of C's library, or of CUDA's. */
#define V_OF(function) (PMC_DOUBLE ? (real)function(x) : (real)function##f((float)x))
INLINE vf v_sqrt(vf x) { return V_OF(sqrt); }
INLINE vf v_exp(vf x) { return V_OF(exp); }
INLINE vf v_expm1(vf x) { return V_OF(expm1); }
INLINE vf v_log(vf x) { return V_OF(log); }
INLINE vf v_log1p(vf x) { return V_OF(log1p); }
INLINE vf v_tanh(vf x) { return V_OF(tanh); }

/* One rounding on a GPU; where a GPU is emulated two, as in the portable build. */
INLINE vf v_fma(vf a, vf b, vf c) {
#ifdef __CUDA_ARCH__
    return PMC_DOUBLE ? (real)fma(a, b, c) : (real)fmaf((float)a, (float)b, (float)c);
#else
    return a * b + c;
#endif
}
