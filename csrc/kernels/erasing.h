/* Random erasing (Zhong, Zheng, Kang, Li, Yang, 2020), in training only: with some probability a rectangle of a picture
 * becomes a value, or random numbers. Area and logarithm of the ratio of its sides are drawn until it fits. */
#pragma once
#include "images.h"
#include "maps.h"

enum { ERASING_TRIES = 10 };

/* e^x by Taylor's series in plain double arithmetic, for small x. */
INLINE double exponential(double x) {
    double sum = 1;
    for (int k = 40; k > 0; k--) sum = 1 + sum * x / (double)k;
    return sum;
}

/* The root of an area, rounded; no more than `most` + 1. */
INLINE int64_t side_of(double area, int64_t most) {
    int64_t side = 0;
    while (side <= most && ((double)side + 0.5) * ((double)side + 0.5) <= area) side++;
    return side;
}

INLINE int64_t place_of(uint32_t word, int64_t places) { return (int64_t)((uint64_t)word * (uint64_t)places >> 32); }

/* What is erased of a picture; block k of its random numbers is the k-th try. */
INLINE rectangle erased_of(const pmc_erasing *s, uint32_t picture, pmc_random random) {
    const int64_t h = s->image.h, w = s->image.w;
    uint32_t words[MAX(4, 4 * RANDOM_LANES)];
    random_words(words, 0, 1, picture, s->stream, random);
    if (uniform(words[0], 0, 1) >= s->p) return (rectangle){0, 0, 0, 0};
    for (uint32_t attempt = 1; attempt <= ERASING_TRIES; attempt++) {
        random_words(words, attempt, 1, picture, s->stream, random);
        const double area = uniform(words[0], s->area_least, s->area_most) * (double)(h * w);
        const double ratio = exponential(uniform(words[1], s->ratio_least, s->ratio_most));
        const int64_t height = side_of(area * ratio, h), width = side_of(area / ratio, w);
        if (height > h || width > w) continue;
        const int64_t top = place_of(words[2], h - height + 1), left = place_of(words[3], w - width + 1);
        return (rectangle){top, top + height, left, left + width};
    }
    return (rectangle){0, 0, 0, 0};
}

/* What elements e to e + 3 of a rectangle become, in the order h, w, c; e is a multiple of 4. */
INLINE void erased_values(real to[4], int64_t e, const pmc_erasing *s, uint32_t picture, pmc_random random) {
    uint32_t words[MAX(4, 4 * RANDOM_LANES)] = {0};
    if (s->low != s->high) random_words(words, (uint32_t)(16 + e / 4), 1, picture, s->stream, random);
    for (int i = 0; i < 4; i++) to[i] = (real)uniform(words[i], s->low, s->high);
}

/* Where element e of a rectangle lies in an image. */
INLINE int64_t erased_place(const rectangle *r, const pmc_image *image, int64_t e) {
    const int64_t width = (r->right - r->left) * image->c;
    return image_start(image) + (r->top + e / width) * pmc_image_pitch(image) + r->left * image->c + e % width;
}

/* y <- x but for what is erased; y may be x. */
KERNEL void erase(real *y, const real *x, const pmc_erasing *s, int64_t n, pmc_random random, const int64_t *index) {
    const pmc_image *image = &s->image;
    const int64_t stride = pmc_image_stride(image);
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        const uint32_t picture = picture_of(random, index, i);
        const rectangle r = erased_of(s, picture, random);
        const int64_t size = (r.bottom - r.top) * (r.right - r.left) * image->c;
        if (y != x) memcpy(y, x, (size_t)stride * sizeof *y);
        for (int64_t first = 0; first < size; first += 4) {
            real values[4];
            erased_values(values, first, s, picture, random);
            for (int64_t e = first; e < MIN(first + 4, size); e++) y[erased_place(&r, image, e)] = values[e - first];
        }
    }
}
