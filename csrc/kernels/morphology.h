/* Mathematical morphology of grey levels (Serra, 1982), in training only: a picture's random dilation or erosion by a
 * cross of 3x3 pixels, once or more often, blended with what one time less leaves: so its amount is any number. Erosion
 * is dilation of the negative. */
#pragma once
#include "images.h"
#include "maps.h"

/* So many dilations, and a part of one more; of the negative where sign is -1. */
typedef struct {
    int64_t times;
    real part, sign;
} thickening;

INLINE thickening thickening_of(const pmc_morphology *s, uint32_t picture, pmc_random random) {
    uint32_t words[MAX(4, 4 * RANDOM_LANES)];
    random_words(words, 0, 1, picture, s->stream, random);
    const double amount = uniform(words[0], -s->erosion, s->dilation), size = amount < 0 ? -amount : amount;
    const int64_t times = (int64_t)size;
    return (thickening){times, (real)(size - (double)times), (real)(amount < 0 ? -1 : 1)};
}

/* Inside a picture with a margin of one pixel. */
INLINE int64_t margin_pitch(const pmc_image *s) { return (s->w + 2) * s->c; }
INLINE int64_t margin_start(const pmc_image *s) { return margin_pitch(s) + s->c; }

INLINE vf v_larger(vf a, vf b) { return v_select((b > a) | (b != b), b, a); } /* NaN is */

/* The largest of the cross around a place, and how far it lies from there: the first of equals, and the place itself is
 * the first. */
INLINE vf dilated(const real *at, int64_t pitch, int64_t c) {
    const vf row = v_larger(v_larger(v_load(at), v_load(at - c)), v_load(at + c));
    return v_larger(v_larger(row, v_load(at - pitch)), v_load(at + pitch));
}
INLINE int64_t dilated_from(const real *at, int64_t pitch, int64_t c) {
    const int64_t cross[4] = {-c, c, -pitch, pitch};
    int64_t best = 0;
    for (int i = 0; i < 4; i++)
        if (at[cross[i]] > at[best] || (at[cross[i]] != at[cross[i]] && at[best] == at[best])) best = cross[i];
    return best;
}

/* A picture, or its negative, with its margin; the margin is smaller than all. */
INLINE void with_margin(real *to, const real *x, const pmc_image *s, real sign) {
    const int64_t width = s->w * s->c;
    for (int64_t row = 0; row < s->h; row++) {
        const real *from = x + image_start(s) + row * pmc_image_pitch(s);
        real *inside = to + margin_start(s) + row * margin_pitch(s);
        for (int64_t e = 0; e < width; e += VL) v_store_n(inside + e, v_load(from + e) * sign, width - e);
    }
}
INLINE void clear_margin(real *pictures, const pmc_image *s) {
    for (int64_t e = 0; e < 2 * pmc_morphology_picture(s); e++) pictures[e] = -(real)__builtin_inf();
}

/* pictures: two with margins. */
KERNEL void morphology_forward(real *y, const real *x, const pmc_morphology *s, int64_t n, pmc_random random,
                               const int64_t *index, real *pictures) {
    const pmc_image *image = &s->image;
    const int64_t stride = pmc_image_stride(image), pitch = margin_pitch(image), c = image->c, width = image->w * c;
    clear_margin(pictures, image);
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        const thickening t = thickening_of(s, picture_of(random, index, i), random);
        real *from = pictures + margin_start(image), *to = from + pmc_morphology_picture(image);
        with_margin(pictures, x, image, t.sign);
        image_clear_border(y, image);
        for (int64_t time = 0; time < t.times; time++) {
            for (int64_t row = 0; row < image->h; row++)
                for (int64_t e = row * pitch; e < row * pitch + width; e += VL)
                    v_store_n(to + e, dilated(from + e, pitch, c), row * pitch + width - e);
            real *last = from;
            from = to;
            to = last;
        }
        for (int64_t row = 0; row < image->h; row++)
            for (int64_t e = 0; e < width; e += VL) {
                const real *at = from + row * pitch + e;
                const vf before = v_load(at), after = dilated(at, pitch, c);
                v_store_n(image_inside(y, image) + row * pmc_image_pitch(image) + e,
                          v_fma(after - before, v_splat(t.part), before) * t.sign, width - e);
            }
    }
}

/* A gradient goes to where its value came from. pictures: two with margins, and two of places in dx. */
KERNEL void morphology_backward(real *dx, const real *dy, const real *x, const pmc_morphology *s, int64_t n,
                                pmc_random random, const int64_t *index, real *pictures) {
    const pmc_image *image = &s->image;
    const int64_t stride = pmc_image_stride(image), pitch = margin_pitch(image), c = image->c, width = image->w * c;
    clear_margin(pictures, image);
    for (int64_t i = 0; i < n; i++, dx += stride, dy += stride, x += stride) {
        const thickening t = thickening_of(s, picture_of(random, index, i), random);
        real *from = pictures + margin_start(image), *to = from + pmc_morphology_picture(image);
        int32_t *source = (int32_t *)(pictures + 2 * pmc_morphology_picture(image)) + margin_start(image),
                *next = source + pmc_morphology_picture(image);
        with_margin(pictures, x, image, t.sign);
        memset(dx, 0, (size_t)stride * sizeof *dx);
        for (int64_t row = 0; row < image->h; row++)
            for (int64_t e = 0; e < width; e++)
                source[row * pitch + e] = (int32_t)(image_start(image) + row * pmc_image_pitch(image) + e);
        for (int64_t time = 0; time < t.times; time++) {
            for (int64_t row = 0; row < image->h; row++)
                for (int64_t e = row * pitch; e < row * pitch + width; e++) {
                    const int64_t best = e + dilated_from(from + e, pitch, c);
                    to[e] = from[best];
                    next[e] = source[best];
                }
            real *last = from;
            int32_t *last_source = source;
            from = to;
            to = last;
            source = next;
            next = last_source;
        }
        for (int64_t row = 0; row < image->h; row++)
            for (int64_t e = 0; e < width; e++) {
                const real g = dy[image_start(image) + row * pmc_image_pitch(image) + e];
                const int64_t at = row * pitch + e;
                dx[source[at]] += g * (1 - t.part);
                dx[source[at + dilated_from(from + at, pitch, c)]] += g * t.part;
            }
    }
}
