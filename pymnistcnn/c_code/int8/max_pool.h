/* The largest value of every window; padding never wins. */
static void max_pool(const pool_shape *s, uint8_t *y, const uint8_t *x) {
    int row, column, c, i, j;
    for (row = 0; row < s->out.h; row++)
        for (column = 0; column < s->out.w; column++)
            for (c = 0; c < s->in.c; c++) {
                uint8_t best = 0;
                for (i = 0; i < s->kh; i++)
                    for (j = 0; j < s->kw; j++) {
                        const int at_row = row * s->stride_h - s->top + i * s->dilation_h;
                        const int at_column = column * s->stride_w - s->left + j * s->dilation_w;
                        if (at_row < 0 || at_row >= s->in.h || at_column < 0 || at_column >= s->in.w) continue;
                        if (x[(at_row * s->in.w + at_column) * s->in.c + c] > best)
                            best = x[(at_row * s->in.w + at_column) * s->in.c + c];
                    }
                *y++ = best;
            }
}
