/* One addition after the other. The zeros around a picture are left out. */
static float chain(const conv_shape *s, const float *x, const float *w, float bias, int k, int row, int column) {
    const int c = s->in.c / s->groups, first = k / (s->out.c / s->groups) * c;
    float sum = bias;
    int i, j, e;
    w += k * s->kh * s->kw * c;
    for (i = 0; i < s->kh; i++)
        for (j = 0; j < s->kw; j++, w += c) {
            const int at_row = row + i * s->dilation_h, at_column = column + j * s->dilation_w;
            const float *pixel = x + (at_row * s->in.w + at_column) * s->in.c + first;
            if (at_row < 0 || at_row >= s->in.h || at_column < 0 || at_column >= s->in.w) continue;
            for (e = 0; e < c; e++) sum += pixel[e] * w[e];
        }
    return sum;
}
