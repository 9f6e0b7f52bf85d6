/* One output before the pool: channel k of the window that begins at this row and column of x. The sum of
 * (x - zero) * w is taken apart, since zero is 0 behind ReLU. */
static int32_t sum_of(const conv_shape *s, const uint8_t *x, const int8_t *w, int32_t bias, int k, int row,
                      int column) {
    const int c = s->in.c / s->groups, first = k / (s->out.c / s->groups) * c;
    int32_t sum = bias;
    int i, j, e;
    w += k * s->kh * s->kw * c;
    for (i = 0; i < s->kh; i++)
        for (j = 0; j < s->kw; j++, w += c) {
            const int at_row = row + i * s->dilation_h, at_column = column + j * s->dilation_w;
            const uint8_t *pixel = x + (at_row * s->in.w + at_column) * s->in.c + first;
            if (at_row < 0 || at_row >= s->in.h || at_column < 0 || at_column >= s->in.w) continue;
            for (e = 0; e < c; e++) sum += pixel[e] * w[e];
            for (e = 0; e < c && s->zero_in; e++) sum -= s->zero_in * w[e];
        }
    return sum;
}
