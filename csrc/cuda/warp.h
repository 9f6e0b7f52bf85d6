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

/* to [count] <- random numbers in [-1, 1), for an axis. */
BLOCK warp_displacements(real *to, int64_t count, int axis, const pmc_job *j, int64_t sample) {
    const pmc_random random = pmc_step_random(j->step, 0);
    const uint32_t picture = picture_of(random, pmc_step_numbers(j->step, 0), sample);
    FOR_THREADS(t) {
        for (int64_t first = 4 * t; first < count; first += 4 * THREADS) {
            uint32_t words[4];
            random_words(words, elastic_block(count, axis, first), 1, picture, j->op.shape.warp.stream, random);
            for (int64_t e = first; e < MIN(first + 4, count); e++) to[e] = (real)symmetric(words[e - first], 1);
        }
    }
}

/* field [h][w] of an axis gets its blurred displacements; workspace: raw and smooth [h][w], taps. */
BLOCK warp_add_blurred(real *field, real *raw, int axis, const pmc_job *j, int64_t sample) {
    const pmc_warp *s = &j->op.shape.warp;
    const int64_t h = s->image.h, w = s->image.w, size = h * w, radius = pmc_warp_radius(s);
    real *smooth = raw + size, *taps = smooth + size;
    FOR_THREADS(t) {
        if (t == 0) elastic_taps(taps, s);
    }
    warp_displacements(raw, size, axis, j, sample);
    FOR_THREADS(t) {
        for (int64_t e = t; e < size; e += THREADS) smooth[e] = blurred(raw, taps, radius, e / w, e % w, h, w, 0);
    }
    FOR_THREADS(t) {
        for (int64_t e = t; e < size; e += THREADS)
            field[e] += blurred(smooth, taps, radius, e / w, e % w, h, w, 1) * (real)s->elastic;
    }
}

/* field [2][h][w] gets both axes' splines; workspace: control points [2][points][points], their rows [2][points][w]. */
BLOCK warp_add_spline(real *field, real *control, const pmc_job *j, int64_t sample) {
    const pmc_warp *s = &j->op.shape.warp;
    const int64_t h = s->image.h, w = s->image.w, points = pmc_warp_points(s), rows = 2 * points;
    real *along_x = control + rows * points;
    for (int axis = 0; axis < 2; axis++)
        warp_displacements(control + axis * points * points, points * points, axis, j, sample);
    FOR_THREADS(t) {
        for (int64_t e = t; e < rows * w; e += THREADS) {
            const spline at = spline_at(e % w, w, s->grid);
            along_x[e] = spline_sums(&at, control + e / w * points, 1, 1) * (real)s->elastic;
        }
    }
    FOR_THREADS(t) {
        for (int64_t e = t; e < 2 * h * w; e += THREADS) {
            const spline at = spline_at(e / w % h, h, s->grid);
            field[e] += spline_sums(&at, along_x + e / (h * w) * points * w + e % w, w, 1);
        }
    }
}

/* field [2][h][w]: the row and the column of the input that each pixel of the output is taken from; what follows there
 * is workspace. */
BLOCK warp_field(real *field, const pmc_job *j, int64_t sample) {
    const pmc_warp *s = &j->op.shape.warp;
    const pmc_random random = pmc_step_random(j->step, 0);
    const int64_t w = s->image.w, size = s->image.h * w;
    FOR_THREADS(t) {
        const affine map = affine_of(s, picture_of(random, pmc_step_numbers(j->step, 0), sample), random);
        for (int64_t e = t; e < size; e += THREADS) affine_place(field + e, field + size + e, &map, e / w, e % w);
    }
    if (s->elastic == 0) return;
    if (s->grid) warp_add_spline(field, field + 2 * size, j, sample);
    else
        for (int axis = 0; axis < 2; axis++) warp_add_blurred(field + axis * size, field + 2 * size, axis, j, sample);
}

BLOCK warp_forward_block(const pmc_job *j, int64_t sample) {
    const pmc_warp *s = &j->op.shape.warp;
    const pmc_image *image = &s->image;
    const int64_t size = image->h * image->w, stride = pmc_image_stride(image);
    real *field = SAMPLE(2, sample, pmc_warp_field(s));
    warp_field(field, j, sample);
    FOR_THREADS(t) {
        const rectangle covered =
            cutout_of(s, picture_of(pmc_step_random(j->step, 0), pmc_step_numbers(j->step, 0), sample),
                      pmc_step_random(j->step, 0));
        const real *x = SAMPLE(1, sample, stride);
        for (int64_t e = t; e < size; e += THREADS) {
            const corners from = corners_of(field[e], field[size + e], image);
            const int hidden = is_in(&covered, e / image->w, e % image->w);
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
        const rectangle covered =
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
