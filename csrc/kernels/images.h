/* The border and the inside of an image. */
#pragma once
#include "vectors.h"

/* Where the inside begins. */
INLINE int64_t image_start(const pmc_image *s) { return s->top * pmc_image_pitch(s) + s->left * s->c; }

/* Zeros on the border and in the slack behind the picture; kernels then only write the inside. */
INLINE void image_clear_border(real *x, const pmc_image *s) {
    const int64_t pitch = pmc_image_pitch(s), width = s->w * s->c, between = pitch - width; /* two rows of the inside */
    const int64_t start = image_start(s), last = start + (s->h - 1) * pitch;
    memset(x, 0, (size_t)start * sizeof *x);
    for (int64_t row = start; row < last; row += pitch)
        for (int64_t e = 0; e < between; e += VL) v_store_n(x + row + width + e, (vf){0}, between - e);
    memset(x + last + width, 0, (size_t)(pmc_image_stride(s) - last - width) * sizeof *x);
}

INLINE real *image_inside(real *x, const pmc_image *s) { return x + image_start(s); }

/* The same pixels in as few rows as there can be: in one, where no border lies between them. */
INLINE pmc_image image_joined(const pmc_image *s) {
    pmc_image rows = *s;
    if (s->left + s->right == 0) rows.w *= s->h, rows.h = 1;
    return rows;
}
