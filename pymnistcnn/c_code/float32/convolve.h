/* Output channels first to last - 1. Of what a pool sees the largest is kept, NaN above all, and activated. */
static void convolve(const conv_shape *s, float *y, const float *x, const float *w, const float *b, int first, int last,
                     conv_sum *sum) {
    int row, column, k, i, j;
    for (row = 0; row < s->out.h; row++)
        for (column = 0; column < s->out.w; column++)
            for (k = first; k < last; k++) {
                float best = 0;
                for (i = 0; i < s->pool_h; i++)
                    for (j = 0; j < s->pool_w; j++) {
                        const int top = (row * s->pool_h + i) * s->stride_h - s->top;
                        const int left = (column * s->pool_w + j) * s->stride_w - s->left;
                        const float value = sum(s, x, w, b[k], k, top, left);
                        if ((i == 0 && j == 0) || value > best || value != value) best = value;
                    }
                y[(row * s->out.w + column) * s->out.c + k] = s->activation(best);
            }
}
