/* Augmentation, in training only: noise, and a random map of the picture (affine, elastic, cutout). What happens
 * to a picture depends on seed, epoch, the layer and the picture's index in the data set, on nothing else. */

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
    const vi quarter = __builtin_convertvector(u * 4 + (real)0.5, vi);
    const vf x = (u - __builtin_convertvector(quarter, vf) * (real)0.25) * pi2, square = x * x; /* |x| <= pi / 4 */
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

/* y <- x + std * normal; y may be x. Element e, in the order h, w, c, is number e % 32 of blocks 8 (e / 32) on. */
static void noise(real *y, const real *x, const pmc_noise *s, int64_t n, pmc_random random, const int64_t *index) {
    const pmc_image *image = &s->image;
    const int64_t width = image->w * image->c, stride = pmc_image_stride(image);
    const vf std = v_splat((real)s->std);
    for (int64_t i = 0; i < n; i++, y += stride, x += stride) {
        const uint32_t picture = picture_of(random, index, i);
        real numbers[2 * PMC_PAD];
        int64_t have = -1; /* which 32 are in `numbers` */
        if (y != x) image_clear_border(y, image);
        for (int64_t row = 0; row < image->h; row++) {
            const int64_t at = (image->top + row) * pmc_image_pitch(image) + image->left * image->c;
            for (int64_t e = 0, count; e < width; e += count) {
                const int64_t element = row * width + e, chunk = element / (2 * PMC_PAD),
                              skip = element % (2 * PMC_PAD);
                if (chunk != have) {
                    uint32_t words[2 * PMC_PAD];
                    random_words(words, (uint32_t)(chunk * (PMC_PAD / 2)), PMC_PAD / 2, picture, s->stream, random);
                    normal_numbers(numbers, words);
                    have = chunk;
                }
                count = MIN(2 * PMC_PAD - skip, width - e);
                for (int64_t j = 0; j < count; j += VL) {
                    const vf number = v_load_n(numbers + skip + j, count - j);
                    v_store_n(y + at + e + j, v_fma(std, number, v_load(x + at + e + j)), count - j);
                }
            }
        }
    }
}

/* ---- maps ---- */

/* A number in [-most, most) from a random word. */
INLINE double symmetric(uint32_t word, double most) { return ((double)word * 0x1p-31 - 1) * most; }

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

/* Elastic distortion (Simard, Steinkraus, Platt, 2003): random displacements in [-1, 1), blurred and scaled, are
 * added to the places at field [2][h][w]; what follows there is workspace. */
INLINE void add_elastic(real *field, const pmc_warp *s, uint32_t picture, pmc_random random) {
    const int64_t h = s->image.h, w = s->image.w, size = h * w, radius = pmc_warp_radius(s);
    real *raw = field + 2 * size, *smooth = raw + size, *taps = smooth + size, *between = taps + radius + 1;
    double sum = 0;
    for (int64_t t = 0; t <= radius; t++) { /* exp(-t^2 / 2 sigma^2), by the vectors' exp */
        taps[t] = v_exp(v_splat((real)(-(double)(t * t) / (2 * s->sigma * s->sigma))))[0];
        sum += (t ? 2 : 1) * (double)taps[t];
    }
    for (int64_t t = 0; t <= radius; t++) taps[t] = (real)((double)taps[t] / sum);
    for (int axis = 0; axis < 2; axis++) {
        for (int64_t e = 0, count; e < size; e += count) {
            uint32_t words[4 * RANDOM_BLOCKS];
            count = MIN(4 * RANDOM_BLOCKS, size - e);
            random_words(words, (uint32_t)(16 + axis * ((size + 3) / 4) + e / 4), (count + 3) / 4, picture, s->stream,
                         random);
            for (int64_t j = 0; j < count; j++) raw[e + j] = (real)symmetric(words[j], 1);
        }
        blur(smooth, raw, between, taps, radius, h, w);
        for (int64_t e = 0; e < size; e++) field[axis * size + e] += smooth[e] * (real)s->elastic;
    }
}

/* field [2][h][w]: the row and the column of the input that each pixel of the output is taken from. */
INLINE void warp_places(real *field, const pmc_warp *s, uint32_t picture, pmc_random random) {
    const int64_t h = s->image.h, w = s->image.w;
    const double middle_y = (double)(h - 1) / 2, middle_x = (double)(w - 1) / 2;
    uint32_t words[4 * RANDOM_LANES];
    double sine, cosine, lean_sine, lean_cosine;
    random_words(words, 0, 2, picture, s->stream, random);
    sine_cosine(symmetric(words[0], s->rotation), &sine, &cosine);
    sine_cosine(symmetric(words[1], s->shear), &lean_sine, &lean_cosine);
    const double zoom = 1 / (1 + symmetric(words[2], s->scale)), lean = lean_sine / lean_cosine;
    const double down = symmetric(words[3], s->shift), across = symmetric(words[4], s->shift);
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            const double v = ((double)y - middle_y - down) * zoom, u = ((double)x - middle_x - across) * zoom;
            const double back = u * cosine + v * sine, up = v * cosine - u * sine; /* turned back */
            field[y * w + x] = (real)(up + middle_y);
            field[(h + y) * w + x] = (real)(back - lean * up + middle_x);
        }
    if (s->elastic != 0) add_elastic(field, s, picture, random);
}

/* The square that cutout covers, clipped to the picture (DeVries and Taylor, 2017). */
typedef struct {
    int64_t top, bottom, left, right;
} square;

INLINE square cutout_of(const pmc_warp *s, uint32_t picture, pmc_random random) {
    uint32_t words[4 * RANDOM_LANES];
    if (s->cutout == 0) return (square){0, 0, 0, 0};
    random_words(words, 2, 1, picture, s->stream, random);
    const int64_t y = (int64_t)((uint64_t)words[0] * (uint64_t)s->image.h >> 32) - s->cutout / 2;
    const int64_t x = (int64_t)((uint64_t)words[1] * (uint64_t)s->image.w >> 32) - s->cutout / 2;
    return (square){MAX(0, y), MIN(s->image.h, y + s->cutout), MAX(0, x), MIN(s->image.w, x + s->cutout)};
}

/* The four pixels around a place and their shares; those outside have offset -1. */
typedef struct {
    int64_t offset[4];
    real share[4];
} corners;

INLINE corners corners_of(real row, real column, const pmc_image *image) {
    corners at = {{-1, -1, -1, -1}, {0}};
    if (!(row > -1 && row < (real)image->h && column > -1 && column < (real)image->w)) {
        at.share[0] = 1;
        return at;
    }
    const int64_t y = (int64_t)(row + 1) - 1, x = (int64_t)(column + 1) - 1; /* rounded down */
    const real below = row - (real)y, beside = column - (real)x;
    for (int i = 0; i < 4; i++) {
        const int64_t iy = y + i / 2, ix = x + i % 2;
        at.share[i] = (i / 2 ? below : 1 - below) * (i % 2 ? beside : 1 - beside);
        if (iy >= 0 && iy < image->h && ix >= 0 && ix < image->w)
            at.offset[i] = (image->top + iy) * pmc_image_pitch(image) + (image->left + ix) * image->c;
    }
    return at;
}

/* y <- x seen through the random map, by bilinear interpolation; what comes from outside is `fill`. */
static void warp_forward(real *y, const real *x, const pmc_warp *s, int64_t n, pmc_random random, const int64_t *index,
                         real *field) {
    const pmc_image *image = &s->image;
    const int64_t size = image->h * image->w;
    const real fill = (real)s->fill;
    for (int64_t i = 0; i < n; i++, y += pmc_image_stride(image), x += pmc_image_stride(image)) {
        const uint32_t picture = picture_of(random, index, i);
        const square covered = cutout_of(s, picture, random);
        warp_places(field, s, picture, random);
        image_clear_border(y, image);
        for (int64_t row = 0; row < image->h; row++)
            for (int64_t column = 0; column < image->w; column++) {
                real *to = image_inside(y, image) + row * pmc_image_pitch(image) + column * image->c;
                const corners from =
                    corners_of(field[row * image->w + column], field[size + row * image->w + column], image);
                const int hidden =
                    row >= covered.top && row < covered.bottom && column >= covered.left && column < covered.right;
                for (int64_t c = 0; c < image->c; c++) {
                    real value = 0;
                    for (int k = 0; k < 4; k++)
                        value += from.share[k] * (from.offset[k] < 0 ? fill : x[from.offset[k] + c]);
                    to[c] = hidden ? fill : value;
                }
            }
    }
}

static void warp_backward(real *dx, const real *dy, const pmc_warp *s, int64_t n, pmc_random random,
                          const int64_t *index, real *field) {
    const pmc_image *image = &s->image;
    const int64_t size = image->h * image->w, stride = pmc_image_stride(image);
    for (int64_t i = 0; i < n; i++, dx += stride, dy += stride) {
        const uint32_t picture = picture_of(random, index, i);
        const square covered = cutout_of(s, picture, random);
        warp_places(field, s, picture, random);
        memset(dx, 0, (size_t)stride * sizeof *dx);
        for (int64_t row = 0; row < image->h; row++)
            for (int64_t column = 0; column < image->w; column++) {
                const real *g = dy + (image->top + row) * pmc_image_pitch(image) + (image->left + column) * image->c;
                const corners to =
                    corners_of(field[row * image->w + column], field[size + row * image->w + column], image);
                if (row >= covered.top && row < covered.bottom && column >= covered.left && column < covered.right)
                    continue;
                for (int k = 0; k < 4; k++)
                    for (int64_t c = 0; to.offset[k] >= 0 && c < image->c; c++)
                        dx[to.offset[k] + c] += to.share[k] * g[c];
            }
    }
}
