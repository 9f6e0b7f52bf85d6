/* Factors of bfloat16 where no instruction multiplies them: numbers of float32, rounded to 8 bits, to the nearest, ties
 * to even. Their products are exact in float32, and its kernels do the rest, Winograd's method, too. */
#pragma once
#include "images.h"

INLINE vf v_to_bf16(vf v) {
#if PMC_DOUBLE
    return v; /* never asked for */
#else
    const vi bits = (vi)v;
    return v_select(v == v, (vf)((bits + 0x7fff + (bits >> 16 & 1)) & -0x10000), v); /* NaN stays NaN */
#endif
}

/* y <- x, whole pictures; y may be x. */
static void rounding(real *y, const real *x, const pmc_image *s, int64_t n) {
    const int64_t elements = n * pmc_image_stride(s); /* once: for all the compiler knows, stores could change it */
    for (int64_t e = 0; e < elements; e += VL) v_store(y + e, v_to_bf16(v_load(x + e)));
}

/* rounded <- n rows of w [rows][length], of which the first scale [n] (or NULL) is multiplied with; length: a multiple of
 * PMC_PAD */
static void round_rows(real *rounded, const real *w, const real *scale, int64_t n, int64_t length) {
    for (int64_t row = 0; row < n; row++)
        for (int64_t e = row * length; e < (row + 1) * length; e += VL)
            v_store(rounded + e, v_to_bf16(v_load(w + e) * v_splat(scale ? scale[row] : 1)));
}
