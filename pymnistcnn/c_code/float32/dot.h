/* Few channels have their sums over 16 lanes: element e of a row of the filter is added to partial sum e % 16. */
static float dot(const conv_shape *s, const float *x, const float *w, float bias, int k, int row, int column) {
    const int c = s->in.c;
    float partial[16] = {0};
    int i, j, e;
    w += k * s->kh * s->kw * c;
    for (i = 0; i < s->kh; i++)
        for (j = 0; j < s->kw; j++, w += c) {
            const int at_row = row + i * s->dilation_h, at_column = column + j;
            const float *pixel = x + (at_row * s->in.w + at_column) * c;
            if (at_row < 0 || at_row >= s->in.h || at_column < 0 || at_column >= s->in.w) continue;
            for (e = 0; e < c; e++) partial[(j * c + e) % 16] += pixel[e] * w[e];
        }
    return tree(partial) + bias;
}
