/* Device kernels of the random map of a picture, a block a sample: maps.h. */
#pragma once
#include "grid.h"
#include "../kernels/maps.h"

static int64_t warp_blocks(const pmc_job *j) { return j->n; }
#define warp_forward_blocks warp_blocks
#define warp_backward_blocks warp_blocks

/* One pass of the blur, along x or y: its sum at pixel (y, x) of from [h][w], outside of which there are zeros. */
INLINE real blurred(const real *from, const real *taps, int64_t radius, int64_t y, int64_t x, int64_t h, int64_t w,
                    int along_y) {
    const int64_t step = along_y ? w : 1, place = along_y ? y : x, size = along_y ? h : w;
    const real *here = from + y * w + x;
    real sum = *here * taps[0];
    for (int64_t t = 1; t <= radius; t++) {
        const real before = place >= t ? here[-t * step] : 0, behind = place + t < size ? here[t * step] : 0;
        sum = v_fma(before + behind, taps[t], sum);
    }
    return sum;
}

/* field [2][h][w]: the row and the column of the input that each pixel of the output is taken from; what follows there
 * is workspace: raw and smooth [h][w], taps. */
BLOCK warp_field(real *field, const pmc_job *j, int64_t sample) {
    const pmc_warp *s = &j->op.shape.warp;
    const pmc_random random = pmc_step_random(j->step, 0);
    const uint32_t picture = picture_of(random, pmc_step_numbers(j->step, 0), sample);
    const int64_t h = s->image.h, w = s->image.w, size = h * w, radius = pmc_warp_radius(s);
    real *raw = field + 2 * size, *smooth = raw + size, *taps = smooth + size;
    FOR_THREADS(t) {
        const affine map = affine_of(s, picture, random);
        for (int64_t e = t; e < size; e += THREADS) affine_place(field + e, field + size + e, &map, e / w, e % w);
        if (t == 0 && s->elastic != 0) elastic_taps(taps, s);
    }
    for (int axis = 0; axis < 2 && s->elastic != 0; axis++) {
        FOR_THREADS(t) {
            for (int64_t first = 4 * t; first < size; first += 4 * THREADS) {
                uint32_t words[4];
                random_words(words, elastic_block(s, axis, first), 1, picture, s->stream, random);
                for (int64_t e = first; e < MIN(first + 4, size); e++) raw[e] = (real)symmetric(words[e - first], 1);
            }
        }
        FOR_THREADS(t) {
            for (int64_t e = t; e < size; e += THREADS) smooth[e] = blurred(raw, taps, radius, e / w, e % w, h, w, 0);
        }
        FOR_THREADS(t) {
            for (int64_t e = t; e < size; e += THREADS)
                field[axis * size + e] += blurred(smooth, taps, radius, e / w, e % w, h, w, 1) * (real)s->elastic;
        }
    }
}

BLOCK warp_forward_block(const pmc_job *j, int64_t sample) {
    const pmc_warp *s = &j->op.shape.warp;
    const pmc_image *image = &s->image;
    const int64_t size = image->h * image->w, stride = pmc_image_stride(image);
    real *field = SAMPLE(2, sample, pmc_warp_field(s));
    warp_field(field, j, sample);
    FOR_THREADS(t) {
        const square covered =
            cutout_of(s, picture_of(pmc_step_random(j->step, 0), pmc_step_numbers(j->step, 0), sample),
                      pmc_step_random(j->step, 0));
        const real *x = SAMPLE(1, sample, stride);
        for (int64_t e = t; e < size; e += THREADS) {
            const int64_t row = e / image->w, column = e % image->w;
            const corners from = corners_of(field[e], field[size + e], image);
            const int hidden = is_in(&covered, row, column);
            for (int64_t c = 0; c < image->c; c++) SAMPLE(0, sample, stride)
            [inside(image, e * image->c + c)] = hidden ? (real)s->fill : interpolated(x + c, &from, (real)s->fill);
        }
    }
}
DEVICE_KERNEL(warp_forward)

/* A thread a channel, pixel after pixel: no two add to one place, and the order is always the same. */
BLOCK warp_backward_block(const pmc_job *j, int64_t sample) {
    const pmc_warp *s = &j->op.shape.warp;
    const pmc_image *image = &s->image;
    const int64_t size = image->h * image->w, stride = pmc_image_stride(image);
    real *field = SAMPLE(2, sample, pmc_warp_field(s));
    warp_field(field, j, sample);
    FOR_THREADS(t) {
        real *dx = SAMPLE(0, sample, stride);
        for (int64_t e = t; e < stride; e += THREADS) dx[e] = 0;
    }
    FOR_THREADS(t) {
        const square covered =
            cutout_of(s, picture_of(pmc_step_random(j->step, 0), pmc_step_numbers(j->step, 0), sample),
                      pmc_step_random(j->step, 0));
        real *dx = SAMPLE(0, sample, stride);
        const real *dy = SAMPLE(1, sample, stride);
        for (int64_t e = 0; e < size && t < image->c; e++) {
            const corners to = corners_of(field[e], field[size + e], image);
            if (is_in(&covered, e / image->w, e % image->w)) continue;
            for (int64_t c = t; c < image->c; c += THREADS)
                for (int k = 0; k < 4; k++)
                    if (to.offset[k] >= 0) dx[to.offset[k] + c] += to.share[k] * dy[inside(image, e * image->c + c)];
        }
    }
}
DEVICE_KERNEL(warp_backward)
