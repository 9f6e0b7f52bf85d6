/* multiplier, shift: of each output channel. Of what a pool sees the largest is kept; ReLU is the clamping at 0. */
static void convolve(const conv_shape *s, uint8_t *y, const uint8_t *x, const int8_t *w, const int32_t *b,
                     const int32_t *multiplier, const uint8_t *shift) {
    int row, column, k, i, j;
    for (row = 0; row < s->out.h; row++)
        for (column = 0; column < s->out.w; column++)
            for (k = 0; k < s->out.c; k++) {
                int32_t best = INT32_MIN;
                for (i = 0; i < s->pool_h; i++)
                    for (j = 0; j < s->pool_w; j++) {
                        const int top = (row * s->pool_h + i) * s->stride_h - s->top;
                        const int left = (column * s->pool_w + j) * s->stride_w - s->left;
                        const int32_t sum = sum_of(s, x, w, b[k], k, top, left);
                        if (sum > best) best = sum;
                    }
                *y++ = requantized(best, multiplier[k], shift[k], s->zero_out);
            }
}
