/* The mean of every window: sums of 64, of which sums of 64, ... */
static void average_pool(const pool_shape *s, float *y, const float *x) {
    int row, column, c, i, j;
    for (row = 0; row < s->out.h; row++)
        for (column = 0; column < s->out.w; column++)
            for (c = 0; c < s->in.c; c++) {
                const int top = row * s->stride_h - s->top, left = column * s->stride_w - s->left;
                float sum[4] = {0};
                int count = 0, level, n, padded = 0;
                for (i = top; i < top + s->kh && i < s->in.h + s->bottom; i++)
                    for (j = left; j < left + s->kw && j < s->in.w + s->right; j++, padded++) {
                        if (i < 0 || i >= s->in.h || j < 0 || j >= s->in.w) continue;
                        sum[0] += x[(i * s->in.w + j) * s->in.c + c];
                        for (level = 0, n = ++count; level < 3 && n % 64 == 0; level++, n /= 64) {
                            sum[level + 1] += sum[level];
                            sum[level] = 0;
                        }
                    }
                y[(row * s->out.w + column) * s->out.c + c] =
                    (sum[3] + sum[2] + (sum[1] + sum[0])) / (float)(s->count_pad ? padded : count);
            }
}
