/* The border and the inside of an image. */
#pragma once
#include "vectors.h"

/* Zeros on the border and in the slack behind the picture; kernels then only write the inside. */
INLINE void image_clear_border(real *x, const pmc_image *s) {
    const int64_t pitch = pmc_image_pitch(s), left = s->left * s->c, width = s->w * s->c, right = s->right * s->c;
    const int64_t inside = s->top * pitch, below = (s->top + s->h) * pitch;
    memset(x, 0, (size_t)inside * sizeof *x);
    if (left + right)
        for (int64_t row = inside; row < below; row += pitch) {
            memset(x + row, 0, (size_t)left * sizeof *x);
            memset(x + row + left + width, 0, (size_t)right * sizeof *x);
        }
    memset(x + below, 0, (size_t)(pmc_image_stride(s) - below) * sizeof *x);
}

/* Where the inside begins. */
INLINE int64_t image_start(const pmc_image *s) { return s->top * pmc_image_pitch(s) + s->left * s->c; }
INLINE real *image_inside(real *x, const pmc_image *s) { return x + image_start(s); }

/* The same pixels in as few rows as there can be: in one, where no border lies between them. */
INLINE pmc_image image_joined(const pmc_image *s) {
    pmc_image rows = *s;
    if (s->left + s->right == 0) rows.w *= s->h, rows.h = 1;
    return rows;
}
