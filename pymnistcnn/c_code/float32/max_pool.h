/* The largest value of every window; padding never wins, NaN always does. */
static void max_pool(const pool_shape *s, float *y, const float *x) {
    word nothing;
    int row, column, c, i, j;
    nothing.bits = 0xff800000u; /* -infinity */
    for (row = 0; row < s->out.h; row++)
        for (column = 0; column < s->out.w; column++)
            for (c = 0; c < s->in.c; c++) {
                float best = nothing.number;
                int seen = 0;
                for (i = 0; i < s->kh; i++)
                    for (j = 0; j < s->kw; j++) {
                        const int at_row = row * s->stride_h - s->top + i * s->dilation_h;
                        const int at_column = column * s->stride_w - s->left + j * s->dilation_w;
                        float value;
                        if (at_row < 0 || at_row >= s->in.h || at_column < 0 || at_column >= s->in.w) continue;
                        value = x[(at_row * s->in.w + at_column) * s->in.c + c];
                        if (!seen || value > best || value != value) best = value;
                        seen = 1;
                    }
                y[(row * s->out.w + column) * s->out.c + c] = best;
            }
}
