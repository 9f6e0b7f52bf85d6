/* Between the caller's arrays [n][c][h][w] and images: channels last with a zero border, or flat vectors. */
#pragma once
#include "images.h"
#include "mixing.h"
#include "transpose.h"

/* A flat vector is a pixel of many channels: as a row of pixels of one channel it is copied in one loop. */
INLINE pmc_image as_row(const pmc_image *s) {
    const int flat = s->h == 1 && s->w == 1 && s->top + s->bottom + s->left + s->right == 0;
    return flat ? (pmc_image){.h = 1, .w = s->c, .c = 1} : *s;
}

/* One row of pixels 0-255, scaled; `readable`: bytes from its first pixel to the end of the picture. */
INLINE void scale_pixels(real *to, const uint8_t *from, int64_t width, int64_t readable, real scale, real offset) {
    int64_t column = 0;
    for (; column + VL <= width; column += VL)
        v_store(to + column, v_to_real(v_load_bytes(from + column)) * scale + offset);
    if (column < width && column + VL <= readable) {
        v_store_n(to + column, v_to_real(v_load_bytes(from + column)) * scale + offset, width - column);
        return;
    }
    for (; column < width; column++) to[column] = (real)from[column] * scale + offset;
}

/* Pictures in a random order miss every cache: so many are fetched ahead. */
enum { AHEAD = 4 };
static void input_u8(real *x, const uint8_t *array, const int64_t *index, const pmc_transfer *s, int64_t n) {
    const pmc_image row = as_row(&s->image), *image = &row;
    const int64_t size = image->h * image->w * image->c, pitch = pmc_image_pitch(image);
    const real scale = (real)s->scale, offset = (real)s->offset;
    for (int64_t i = 0; i < n; i++, x += pmc_image_stride(image)) {
        const uint8_t *from = array + (index ? index[i] : i) * size, *end = from + size;
        for (int64_t ahead = i ? i + AHEAD : 1; index && ahead <= i + AHEAD && ahead < n; ahead++)
            for (int64_t e = 0; e < size; e += 64) __builtin_prefetch(array + index[ahead] * size + e);
        image_clear_border(x, image);
        for (int64_t c = 0; c < image->c; c++)
            for (int64_t y = 0; y < image->h; y++, from += image->w) {
                real *to = image_inside(x, image) + y * pitch + c;
                if (image->c == 1) scale_pixels(to, from, image->w, end - from, scale, offset);
                else
                    for (int64_t column = 0; column < image->w; column++)
                        to[column * image->c] = (real)from[column] * scale + offset;
            }
    }
}

static void input_real(real *x, const real *array, const int64_t *index, const pmc_transfer *s, int64_t n) {
    const pmc_image row = as_row(&s->image), *image = &row;
    const int64_t size = image->h * image->w * image->c;
    const real scale = (real)s->scale, offset = (real)s->offset;
    for (int64_t i = 0; i < n; i++, x += pmc_image_stride(image)) {
        const real *from = array + (index ? index[i] : i) * size;
        image_clear_border(x, image);
        for (int64_t c = 0; c < image->c; c++)
            for (int64_t y = 0; y < image->h; y++, from += image->w) {
                real *to = image_inside(x, image) + y * pmc_image_pitch(image) + c;
                for (int64_t column = 0; column < image->w; column++)
                    to[column * image->c] = from[column] * scale + offset;
            }
    }
}

/* A row of a picture becomes a mixture with its partner's, at `from` in the caller's array; that picture's end is `end`.
 * Pixels of one channel go as vectors. */
INLINE void mix_row(real *to, const pmc_step *step, int64_t from, int64_t end, int64_t stride, int64_t width,
                    real share, const pmc_transfer *s) {
    const real scale = (real)s->scale, offset = (real)s->offset;
    const int vectors = step->x_u8 && stride == 1 && share != 0;
    int64_t column = 0;
    for (; vectors && column < width && from + column + VL <= end; column += VL) {
        const vf own = v_load_n(to + column, width - column);
        const vf other = v_to_real(v_load_bytes(step->x_u8 + from + column)) * scale + offset;
        v_store_n(to + column, own * share + other * (1 - share), width - column);
    }
    for (; column < width; column++) {
        const int64_t at = from + column;
        const real other = (step->x_u8 ? (real)step->x_u8[at] : step->x_real[at]) * scale + offset;
        to[column * stride] = mixed(to[column * stride], other, share);
    }
}

/* x, the step's samples from `first` on, become their mixtures, row by row of the caller's pictures. */
static void mix(real *x, const pmc_step *step, const pmc_transfer *s, int64_t first, int64_t n) {
    const pmc_image *image = &s->image;
    const int flat = image->h == 1 && image->w == 1;
    const int64_t h = flat ? step->height : image->h, w = flat ? step->width : image->w;
    const int64_t size = image->h * image->w * image->c, stride = flat ? 1 : image->c;
    for (int64_t i = step->start + first; i < step->start + first + n; i++, x += pmc_image_stride(image)) {
        const mixed_part part = mixed_part_of(step, i, h, w);
        const int64_t begin = step->partner[i] * size;
        for (int64_t c = 0; part.share != 1 && c < size / (h * w); c++)
            for (int64_t y = part.top; y < part.bottom; y++) {
                const int64_t at = (c * h + y) * w + part.left;
                real *to = image_inside(x, image);
                to += flat ? at : y * pmc_image_pitch(image) + part.left * image->c + c;
                mix_row(to, step, begin + at, begin + size, stride, part.right - part.left, part.share, s);
            }
    }
}

static void output_real(real *array, const real *x, const pmc_transfer *s, int64_t n) {
    const pmc_image row = as_row(&s->image), *image = &row;
    const real scale = (real)s->scale;
    for (int64_t i = 0; i < n; i++, x += pmc_image_stride(image))
        for (int64_t c = 0; c < image->c; c++)
            for (int64_t y = 0; y < image->h; y++, array += image->w) {
                const real *from = x + (image->top + y) * pmc_image_pitch(image) + image->left * image->c + c;
                for (int64_t column = 0; column < image->w; column++) array[column] = from[column * image->c] * scale;
            }
}

/* y [c * h * w] in the order c, h, w <- x image; s is x's image. */
static void flatten_forward(real *y, const real *x, const pmc_image *s, int64_t n) {
    const int64_t count = s->c * s->h * s->w, stride = pmc_vector_stride(count);
    const pmc_image rows = image_joined(s);
    for (int64_t i = 0; i < n; i++, y += stride, x += pmc_image_stride(s)) {
        for (int64_t row = 0; row < rows.h; row++)
            transpose(y + row * rows.w, x + s->top * pmc_image_pitch(s) + s->left * s->c + row * pmc_image_pitch(s),
                      rows.w, s->c, rows.w, s->h * s->w, s->c);
        memset(y + count, 0, (size_t)(stride - count) * sizeof *y);
    }
}

static void flatten_backward(real *dx, const real *dy, const pmc_image *s, int64_t n) {
    const int64_t count = s->c * s->h * s->w, stride = pmc_vector_stride(count);
    const pmc_image rows = image_joined(s);
    for (int64_t i = 0; i < n; i++, dy += stride, dx += pmc_image_stride(s)) {
        image_clear_border(dx, s);
        for (int64_t row = 0; row < rows.h; row++)
            transpose(image_inside(dx, s) + row * pmc_image_pitch(s), dy + row * rows.w, s->c, rows.w, s->c, s->c,
                      s->h * s->w);
    }
}
