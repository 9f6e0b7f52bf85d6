/* The same of a long sum. */
static float dot_pieces(const conv_shape *s, const float *x, const float *w, float bias, int k, int row, int column) {
    const int c = s->in.c, length = s->kw * c;
    float total = bias;
    int top, start, i, p;
    w += k * s->kh * length;
    for (top = 0; top < s->kh; top += s->piece_rows)
        for (start = 0; start < length; start += s->piece) {
            float partial[16] = {0};
            for (i = top; i < top + s->piece_rows && i < s->kh; i++)
                for (p = start; p < start + s->piece && p < length; p++) {
                    const int at_row = row + i * s->dilation_h, at_column = column + p / c;
                    if (at_row < 0 || at_row >= s->in.h || at_column < 0 || at_column >= s->in.w) continue;
                    partial[p % 16] += x[(at_row * s->in.w + at_column) * c + p % c] * w[i * length + p];
                }
            total = tree(partial) + total;
        }
    return total;
}
