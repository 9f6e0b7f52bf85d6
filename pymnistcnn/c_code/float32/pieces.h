/* A long sum, piece by piece: of several rows of the filter, or of a part of one. */
static float pieces(const conv_shape *s, const float *x, const float *w, float bias, int k, int row, int column) {
    const int c = s->in.c / s->groups, first = k / (s->out.c / s->groups) * c, length = s->kw * c;
    float total = 0;
    int top, base, start, i, p;
    w += k * s->kh * length;
    for (top = 0; top < s->kh; top += s->piece_rows)
        for (base = 0; base < length; base += s->span)
            for (start = base; start < base + s->span; start += s->piece) {
                const int opening = top == 0 && start == 0;
                float sum = opening ? bias : 0;
                for (i = top; i < top + s->piece_rows && i < s->kh; i++)
                    for (p = start; p < start + s->piece && p < base + s->span; p++) {
                        const int at_row = row + i * s->dilation_h, at_column = column + p / c * s->dilation_w;
                        if (at_row < 0 || at_row >= s->in.h || at_column < 0 || at_column >= s->in.w) continue;
                        sum += x[(at_row * s->in.w + at_column) * s->in.c + first + p % c] * w[i * length + p];
                    }
                total = opening ? sum : total + sum;
            }
    return total;
}
