/* 3x3 and 5x5 filters whose outputs are pooled 2x2 (Lavin and Gray 2016, arXiv:1509.09308): the patch of side x side
 * pixels, side = 4 or 6, and the filter are evaluated as polynomials at side x side points; there the convolution is a
 * product point by point. The weights are at these points already: [k][side * side][c]. */
#define POINT_A 1.5f
#define POINT_B ((float)(2.0 / 3))
#define A_SQUARED 2.25f
#define B_SQUARED ((float)(4.0 / 9))
#define BOTH_SQUARED ((float)(2.25 + 4.0 / 9))

/* In place, d[0], d[step], ...: pixels to points. */
static void points_of(int side, float *d, int step) {
    const float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    if (side == 4) {
        d[0] = d0 - d2;
        d[step] = d1 + d2;
        d[2 * step] = d2 - d1;
        d[3 * step] = d1 - d3;
    } else {
        const float d4 = d[4 * step], d5 = d[5 * step];
        const float even_a = -B_SQUARED * d2 + d4, odd_a = -B_SQUARED * d1 + d3;
        const float even_b = -A_SQUARED * d2 + d4, odd_b = -A_SQUARED * d1 + d3;
        d[0] = -BOTH_SQUARED * d2 + d4 + d0;
        d[step] = POINT_A * odd_a + even_a;
        d[2 * step] = -POINT_A * odd_a + even_a;
        d[3 * step] = POINT_B * odd_b + even_b;
        d[4 * step] = -POINT_B * odd_b + even_b;
        d[5 * step] = -BOTH_SQUARED * d3 + d5 + d1;
    }
}

/* In place: points to 2 outputs. */
static void outputs_of(int side, float *m, int step) {
    const float sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    if (side == 4) {
        m[0] = m[0] + sum;
        m[step] = difference - m[3 * step];
    } else {
        const float sum_b = m[3 * step] + m[4 * step], difference_b = m[3 * step] - m[4 * step];
        m[0] = m[0] + sum + sum_b;
        m[step] = POINT_A * difference + (POINT_B * difference_b + m[5 * step]);
    }
}

/* patch [side * side][c] <- the pixels from this row and column on, at the points */
static void winograd_patch(const conv_shape *s, float *patch, const float *x, int row, int column) {
    const int side = s->kh + 1, c = s->in.c;
    float d[36];
    int e, i, j;
    for (e = 0; e < c; e++) {
        for (i = 0; i < side; i++) {
            for (j = 0; j < side; j++) {
                const int in = row + i >= 0 && row + i < s->in.h && column + j >= 0 && column + j < s->in.w;
                d[i * side + j] = in ? x[((row + i) * s->in.w + column + j) * c + e] : 0;
            }
            points_of(side, d + i * side, 1);
        }
        for (j = 0; j < side; j++) points_of(side, d + j, side);
        for (i = 0; i < side * side; i++) patch[i * c + e] = d[i];
    }
}

static void winograd(const conv_shape *s, float *y, const float *x, const float *w, const float *b, float *patch) {
    const int side = s->kh + 1, c = s->in.c;
    int row, column, k, i, e;
    for (row = 0; row < s->out.h; row++)
        for (column = 0; column < s->out.w; column++) {
            const float *at = w;
            winograd_patch(s, patch, x, 2 * row - s->top, 2 * column - s->left);
            for (k = 0; k < s->out.c; k++) {
                float m[36], best;
                for (i = 0; i < side * side; i++, at += c) {
                    m[i] = 0;
                    for (e = 0; e < c; e++) m[i] += patch[i * c + e] * at[e];
                }
                for (i = 0; i < side; i++) outputs_of(side, m + i, side);
                for (i = 0; i < 2; i++) outputs_of(side, m + i * side, 1);
                best = m[0] + b[k];
                for (i = 1; i < 4; i++) {
                    const float value = m[i / 2 * side + i % 2] + b[k];
                    if (value > best || value != value) best = value;
                }
                y[(row * s->out.w + column) * s->out.c + k] = s->activation(best);
            }
        }
}
