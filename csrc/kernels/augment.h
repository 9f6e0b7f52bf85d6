/* Augmentation, in training only: noise, and a random map of the picture (crop, affine, elastic, cutout). What happens
 * to a picture depends on seed, epoch, the layer and the picture's index in the data set, on nothing else. */
#pragma once
#include "images.h"
#include "maps.h"

/* ---- noise ---- */

/* Normal numbers are made 32 at a time, and so many of these beside each other: each is a chain of multiplications that wait
 * for one another. */
enum { NORMALS = 2 * PMC_PAD, NORMALS_BESIDE = RANDOM_BLOCKS * 4 / NORMALS };

/* y <- x + std * normal; y may be x. Element e, in the order h, w, c, is number e % 32 of blocks 8 (e / 32) on. */
static void noise(real *y, const real *x, const pmc_noise *s, int64_t n, pmc_random random, const int64_t *index) {
    const pmc_image *image = &s->image;
    const int64_t width = image->w * image->c, stride = pmc_image_stride(image), all = image->h * width;
    const vf std = v_splat((real)s->std);
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        const uint32_t picture = picture_of(random, index, i);
        real numbers[NORMALS_BESIDE * NORMALS];
        int64_t have = -1; /* which of them are in `numbers` */
        if (y != x) image_clear_border(y, image);
        for (int64_t row = 0; row < image->h; row++) {
            const int64_t at = (image->top + row) * pmc_image_pitch(image) + image->left * image->c;
            for (int64_t e = 0, count; e < width; e += count) {
                const int64_t element = row * width + e, most = NORMALS_BESIDE * NORMALS;
                const int64_t first = element / most * most, skip = element - first;
                if (first != have) {
                    uint32_t words[NORMALS_BESIDE * NORMALS];
                    const int64_t beside = pmc_blocks(MIN(most, all - first), NORMALS);
                    random_words(words, (uint32_t)(first / 4), beside * NORMALS / 4, picture, s->stream, random);
                    for (int64_t i = 0; i < beside; i++) normal_numbers(numbers + i * NORMALS, words + i * NORMALS);
                    have = first;
                }
                count = MIN(most - skip, width - e);
                for (int64_t j = 0; j < count; j += VL) {
                    const vf number = v_load_n(numbers + skip + j, count - j);
                    v_store_n(y + at + e + j, v_fma(std, number, v_load(x + at + e + j)), count - j);
                }
            }
        }
    }
}

/* ---- maps ---- */

/* to [h][w] <- from [h][w] blurred by a Gaussian along the rows, then the columns; between: [h][w + 2 radius],
 * taps [radius + 1]. Outside there are zeros. */
INLINE void blur(real *to, const real *from, real *between, const real *taps, int64_t radius, int64_t h, int64_t w) {
    const int64_t pitch = w + 2 * radius;
    memset(between, 0, (size_t)((h + 2 * radius) * pitch) * sizeof *between);
    for (int64_t y = 0; y < h; y++)
        memcpy(between + (radius + y) * pitch + radius, from + y * w, (size_t)w * sizeof *to);
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x += VL) {
            const real *row = between + (radius + y) * pitch + radius + x;
            vf sum = v_load_n(row, w - x) * taps[0];
            for (int64_t t = 1; t <= radius; t++)
                sum = v_fma(v_load_n(row - t, w - x) + v_load_n(row + t, w - x), v_splat(taps[t]), sum);
            v_store_n(to + y * w + x, sum, w - x);
        }
    for (int64_t y = 0; y < h; y++) memcpy(between + (radius + y) * pitch + radius, to + y * w, (size_t)w * sizeof *to);
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x += VL) {
            const real *row = between + (radius + y) * pitch + radius + x;
            vf sum = v_load_n(row, w - x) * taps[0];
            for (int64_t t = 1; t <= radius; t++)
                sum = v_fma(v_load_n(row - t * pitch, w - x) + v_load_n(row + t * pitch, w - x), v_splat(taps[t]), sum);
            v_store_n(to + y * w + x, sum, w - x);
        }
}

/* to [count] <- random numbers in [-1, 1), for an axis. */
INLINE void displacements(real *to, int64_t count, int axis, const pmc_warp *s, uint32_t picture, pmc_random random) {
    for (int64_t e = 0, some; e < count; e += some) {
        uint32_t words[4 * RANDOM_BLOCKS];
        some = MIN(4 * RANDOM_BLOCKS, count - e);
        random_words(words, elastic_block(count, axis, e), (some + 3) / 4, picture, s->stream, random);
        for (int64_t j = 0; j < some; j++) to[e + j] = (real)symmetric(words[j], 1);
    }
}

/* Elastic distortion (Simard, Steinkraus, Platt, 2003): random displacements, blurred and scaled, are added to the
 * places at field [2][h][w]; what follows there is workspace. */
INLINE void add_blurred(real *field, const pmc_warp *s, uint32_t picture, pmc_random random) {
    const int64_t h = s->image.h, w = s->image.w, size = h * w, radius = pmc_warp_radius(s);
    real *raw = field + 2 * size, *smooth = raw + size, *taps = smooth + size, *between = taps + radius + 1;
    elastic_taps(taps, s);
    for (int axis = 0; axis < 2; axis++) {
        displacements(raw, size, axis, s, picture, random);
        blur(smooth, raw, between, taps, radius, h, w);
        for (int64_t e = 0; e < size; e++) field[axis * size + e] += smooth[e] * (real)s->elastic;
    }
}

/* The same of a cubic B-spline through a coarse grid (Rueckert et al., 1999): control points of both axes, their rows at
 * every x, then at every y. */
INLINE void add_spline(real *field, const pmc_warp *s, uint32_t picture, pmc_random random) {
    const int64_t h = s->image.h, w = s->image.w, points = pmc_warp_points(s), rows = 2 * points;
    real *control = field + 2 * h * w, *along_x = control + rows * points;
    for (int axis = 0; axis < 2; axis++)
        displacements(control + axis * points * points, points * points, axis, s, picture, random);
    for (int64_t x = 0; x < w; x++) {
        const spline at = spline_at(x, w, s->grid);
        for (int64_t row = 0; row < rows; row++)
            along_x[row * w + x] = v_first(spline_sums(&at, control + row * points, 1, 1)) * (real)s->elastic;
    }
    for (int64_t y = 0; y < h; y++) {
        const spline at = spline_at(y, h, s->grid);
        for (int axis = 0; axis < 2; axis++) {
            real *to = field + (axis * h + y) * w;
            const real *from = along_x + axis * points * w;
            for (int64_t x = 0; x < w; x += VL)
                v_store_n(to + x, v_load_n(to + x, w - x) + spline_sums(&at, from + x, w, w - x), w - x);
        }
    }
}

/* field [2][h][w]: the row and the column of the input that each pixel of the output is taken from. */
INLINE void warp_places(real *field, const pmc_warp *s, uint32_t picture, pmc_random random) {
    const int64_t h = s->image.h, w = s->image.w;
    const affine map = affine_of(s, picture, random);
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) affine_place(field + y * w + x, field + (h + y) * w + x, &map, y, x);
    if (s->elastic == 0) return;
    if (s->grid) add_spline(field, s, picture, random);
    else add_blurred(field, s, picture, random);
}

/* y <- x seen through the random map, by bilinear interpolation; what comes from outside is `fill`. */
static void warp_forward(real *y, const real *x, const pmc_warp *s, int64_t n, pmc_random random, const int64_t *index,
                         real *field) {
    const pmc_image *image = &s->image;
    const pmc_image rows = image_joined(image);
    const int64_t w = rows.w, size = rows.h * w, c = image->c, pitch = pmc_image_pitch(image);
    const real fill = (real)s->fill;
    for (int64_t i = 0; i < n; i++, y += pmc_image_stride(image), x += pmc_image_stride(image)) {
        const uint32_t picture = picture_of(random, index, i);
        const rectangle covered = cutout_of(s, picture, random);
        warp_places(field, s, picture, random);
        image_clear_border(y, image);
        for (int64_t row = 0; row < rows.h; row++) {
            real *to = image_inside(y, image) + row * pitch;
            for (int64_t column = 0; column < w; column += VL) {
                const real *place = field + row * w + column;
                const corners from = corners_of(v_load_n(place, w - column), v_load_n(place + size, w - column), image);
                for (int64_t channel = 0; channel < c; channel++)
                    v_store_apart_n(to + column * c + channel, c, interpolated(x + channel, &from, fill), w - column);
            }
        }
        for (int64_t row = covered.top; row < covered.bottom; row++)
            for (int64_t e = covered.left * c; e < covered.right * c; e++)
                image_inside(y, image)[row * pitch + e] = fill;
    }
}

/* The gradient g of one of some places' pixels goes to what they are interpolated from. */
INLINE void spread(real *dx, const corners *to, int64_t place, const real *g, int64_t c) {
    for (int k = 0; k < 4; k++)
        for (int64_t channel = 0; to->offset[k][place] >= 0 && channel < c; channel++)
            dx[to->offset[k][place] + channel] += to->share[k][place] * g[channel];
}

static void warp_backward(real *dx, const real *dy, const pmc_warp *s, int64_t n, pmc_random random,
                          const int64_t *index, real *field) {
    const pmc_image *image = &s->image;
    const int64_t w = image->w, size = image->h * w, c = image->c, stride = pmc_image_stride(image);
    for (int64_t i = 0; i < n; i++, dx += stride, dy += stride) {
        const uint32_t picture = picture_of(random, index, i);
        const rectangle covered = cutout_of(s, picture, random);
        warp_places(field, s, picture, random);
        memset(dx, 0, (size_t)stride * sizeof *dx);
        for (int64_t e = 0; e < size; e += VL) {
            const corners to = corners_of(v_load_n(field + e, size - e), v_load_n(field + size + e, size - e), image);
            for (int64_t j = e; j < MIN(e + VL, size); j++) {
                const real *g = dy + image_start(image) + j / w * pmc_image_pitch(image) + j % w * c;
                if (!is_in(&covered, j / w, j % w)) spread(dx, &to, j - e, g, c);
            }
        }
    }
}
