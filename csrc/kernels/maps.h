/* What random numbers do to a picture: normal numbers, a crop and an affine map, elastic distortion, cutout. They depend
 * on seed, epoch, the layer and the picture's index in the data set, on nothing else. */
#pragma once
#include "images.h"
#include "random.h"

INLINE uint32_t picture_of(pmc_random random, const int64_t *index, int64_t i) {
    return index ? (uint32_t)index[i] : random.position + (uint32_t)i;
}

/* sin and cos of an angle of at most a half turn, by Taylor's series in plain double arithmetic: no libm and no
 * ISA decides a bit. */
INLINE void sine_cosine(double angle, double *sine, double *cosine) {
    const double square = angle * angle;
    double s = 0, c = 0;
    for (int k = 27; k > 1; k -= 2) { /* 1 - x^2 / (2 3) (1 - x^2 / (4 5) (...)) */
        s = (1 - s) * square / (double)(k * (k - 1));
        c = (1 - c) * square / (double)((k - 1) * (k - 2));
    }
    *sine = angle * (1 - s);
    *cosine = 1 - c;
}

/* ---- noise ---- */

/* sin and cos of 2 pi times u, 0 <= u < 1: the quarter turn nearest to u and what is left of it. */
INLINE void v_turn(vf u, vf *sine, vf *cosine) {
    const real pi2 = (real)6.283185307179586476925;
    const vi quarter = v_to_lane(u * 4 + (real)0.5);
    const vf x = (u - v_to_real(quarter) * (real)0.25) * pi2, square = x * x; /* |x| <= pi / 4 */
    vf s = (vf){0}, c = (vf){0};
    for (int k = PMC_DOUBLE ? 17 : 9; k > 1; k -= 2) {
        s = (1 - s) * square * (1 / (real)(k * (k - 1)));
        c = (1 - c) * square * (1 / (real)((k - 1) * (k - 2)));
    }
    s = x * (1 - s);
    c = 1 - c;
    const vi swap = -(quarter & 1), turn = quarter & 3;
    const vf sine_here = v_select(swap, c, s), cosine_here = v_select(swap, s, c);
    *sine = v_select(turn >= 2, -sine_here, sine_here);
    *cosine = v_select((turn == 1) | (turn == 2), -cosine_here, cosine_here);
}

/* 32 normal numbers from 32 random words (Box and Muller, 1958), of which the first 16 give the radius. */
INLINE void normal_numbers(real out[2 * PMC_PAD], const uint32_t words[2 * PMC_PAD]) {
    real near[PMC_PAD], turn[PMC_PAD];
    for (int i = 0; i < PMC_PAD; i++) {
        near[i] = (real)((words[i] >> 8) + 1) * (real)0x1p-24; /* above 0, at most 1 */
        turn[i] = (real)(words[PMC_PAD + i] >> 8) * (real)0x1p-24;
    }
    for (int p = 0; p < PARTS; p++) {
        vf sine, cosine;
        const vf radius = v_sqrt(v_log(v_load(near + p * VL)) * -2);
        v_turn(v_load(turn + p * VL), &sine, &cosine);
        v_store(out + p * VL, radius * cosine);
        v_store(out + PMC_PAD + p * VL, radius * sine);
    }
}

/* ---- maps ---- */

/* A number in [-most, most) from a random word. */
INLINE double symmetric(uint32_t word, double most) { return ((double)word * 0x1p-31 - 1) * most; }

/* A number from `least` to below `most` from a random word. */
INLINE double uniform(uint32_t word, double least, double most) {
    return least + (most - least) * ((double)word * 0x1p-32);
}

/* Turned, leant, zoomed, stretched and shifted about the centre, each at random, of a crop whose centre is off by
 * crop_y, crop_x. */
typedef struct {
    double middle_y, middle_x, sine, cosine, lean, zoom_y, zoom_x, down, across, crop_y, crop_x;
} affine;

INLINE affine affine_of(const pmc_warp *s, uint32_t picture, pmc_random random) {
    affine map = {.middle_y = (double)(s->image.h - 1) / 2, .middle_x = (double)(s->image.w - 1) / 2};
    uint32_t words[MAX(16, 4 * RANDOM_LANES)];
    double sine, cosine;
    random_words(words, 0, 3, picture, s->stream, random);
    sine_cosine(symmetric(words[0], s->rotation), &map.sine, &map.cosine);
    sine_cosine(symmetric(words[1], s->shear), &sine, &cosine);
    map.lean = sine / cosine;
    const double crop = uniform(words[7], s->crop_least, s->crop_most), zoom = 1 / (1 + symmetric(words[2], s->scale));
    map.zoom_y = crop * zoom / (1 + symmetric(words[5], s->stretch));
    map.zoom_x = crop * zoom / (1 + symmetric(words[6], s->stretch));
    map.crop_y = symmetric(words[10], (1 - crop) * (double)s->image.h / 2);
    map.crop_x = symmetric(words[11], (1 - crop) * (double)s->image.w / 2);
    map.down = symmetric(words[3], s->shift);
    map.across = symmetric(words[4], s->shift);
    return map;
}

/* The row and the column of the input that pixel (y, x) of the output is taken from. */
INLINE void affine_place(real *row, real *column, const affine *m, int64_t y, int64_t x) {
    const double v = ((double)y - m->middle_y - m->down) * m->zoom_y,
                 u = ((double)x - m->middle_x - m->across) * m->zoom_x;
    const double back = u * m->cosine + v * m->sine, up = v * m->cosine - u * m->sine; /* turned back */
    *row = (real)(up + m->middle_y + m->crop_y);
    *column = (real)(back - m->lean * up + m->middle_x + m->crop_x);
}

/* taps [radius + 1] of the blur of elastic distortion: exp(-t^2 / 2 sigma^2), which add up to 1 with their mirror image
 */
INLINE void elastic_taps(real *taps, const pmc_warp *s) {
    const int64_t radius = pmc_warp_radius(s);
    double sum = 0;
    for (int64_t t = 0; t <= radius; t++) {
        taps[t] = v_first(v_exp(v_splat((real)(-(double)(t * t) / (2 * s->sigma * s->sigma)))));
        sum += (t ? 2 : 1) * (double)taps[t];
    }
    for (int64_t t = 0; t <= radius; t++) taps[t] = (real)((double)taps[t] / sum);
}

/* The random block whose words are displacements e to e + 3 of `count` along an axis; e is a multiple of 4. */
INLINE uint32_t elastic_block(int64_t count, int axis, int64_t e) {
    return (uint32_t)(16 + axis * ((count + 3) / 4) + e / 4);
}

/* Where pixel i of n lies among the control points of a uniform cubic B-spline of `grid` cells: it is a sum of four of
 * them, from `first` on. */
typedef struct {
    int64_t first;
    real share[4];
} spline;

INLINE spline spline_at(int64_t i, int64_t n, int64_t grid) {
    const double place = ((double)i + 0.5) * (double)grid / (double)n;
    const int64_t cell = (int64_t)place;
    const double t = place - (double)cell, rest = 1 - t, third = 2.0 / 3;
    return (spline){cell,
                    {(real)(rest * rest * rest * (third / 4)), (real)(third - t * t * (1 - t / 2)),
                     (real)(third - rest * rest * (1 - rest / 2)), (real)(t * t * t * (third / 4))}};
}

/* The sums of control points that lie `step` apart, and of n - 1 more such rows beside them. */
INLINE vf spline_sums(const spline *at, const real *control, int64_t step, int64_t n) {
    vf sum = v_splat(0);
    for (int k = 0; k < 4; k++) sum = v_fma(v_load_n(control + (at->first + k) * step, n), v_splat(at->share[k]), sum);
    return sum;
}

/* A rectangle of pixels; bottom and right are behind the last ones. */
typedef struct {
    int64_t top, bottom, left, right;
} rectangle;

/* The square that cutout covers, clipped to the picture (DeVries and Taylor, 2017). */
INLINE rectangle cutout_of(const pmc_warp *s, uint32_t picture, pmc_random random) {
    uint32_t words[4 * RANDOM_LANES];
    if (s->cutout == 0) return (rectangle){0, 0, 0, 0};
    random_words(words, 2, 1, picture, s->stream, random);
    const int64_t y = (int64_t)((uint64_t)words[0] * (uint64_t)s->image.h >> 32) - s->cutout / 2;
    const int64_t x = (int64_t)((uint64_t)words[1] * (uint64_t)s->image.w >> 32) - s->cutout / 2;
    return (rectangle){MAX(0, y), MIN(s->image.h, y + s->cutout), MAX(0, x), MIN(s->image.w, x + s->cutout)};
}

INLINE int is_in(const rectangle *s, int64_t row, int64_t column) {
    return row >= s->top && row < s->bottom && column >= s->left && column < s->right;
}

/* The four pixels around each of some places, and their shares; those outside have offset -1. */
typedef struct {
    vi offset[4];
    vf share[4];
} corners;

INLINE corners corners_of(vf row, vf column, const pmc_image *image) {
    const lane h = (lane)image->h, w = (lane)image->w, c = (lane)image->c, pitch = (lane)pmc_image_pitch(image);
    const vi near = (row > -1) & (row < (real)h) & (column > -1) & (column < (real)w);
    row = v_select(near, row, v_splat(-1));
    column = v_select(near, column, v_splat(-1));
    const vi y = v_to_lane(row + 1) - 1, x = v_to_lane(column + 1) - 1; /* rounded down */
    const vf below = row - v_to_real(y), beside = column - v_to_real(x);
    corners at;
    for (int i = 0; i < 4; i++) {
        const vi iy = y + i / 2, ix = x + i % 2, in = near & (iy >= 0) & (iy < h) & (ix >= 0) & (ix < w);
        at.share[i] = (i / 2 ? below : 1 - below) * (i % 2 ? beside : 1 - beside);
        at.offset[i] = v_select_lane(in, (lane)image_start(image) + iy * pitch + ix * c, v_splat_lane(-1));
    }
    return at;
}

/* Bilinear interpolation; what comes from outside is `fill`. */
INLINE vf interpolated(const real *x, const corners *from, real fill) {
    vf value = v_splat(0);
    for (int k = 0; k < 4; k++) value += from->share[k] * v_gather(x, from->offset[k], v_splat(fill));
    return value;
}
