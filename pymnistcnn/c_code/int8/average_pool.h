/* The mean of every window, rounded; what stands for zero is around the picture. */
static void average_pool(const pool_shape *s, uint8_t *y, const uint8_t *x) {
    int row, column, c, i, j;
    for (row = 0; row < s->out.h; row++)
        for (column = 0; column < s->out.w; column++)
            for (c = 0; c < s->in.c; c++) {
                const int top = row * s->stride_h - s->top, left = column * s->stride_w - s->left;
                int32_t sum = 0, count = 0;
                for (i = top; i < top + s->kh && i < s->in.h + s->bottom; i++)
                    for (j = left; j < left + s->kw && j < s->in.w + s->right; j++) {
                        const int inside = i >= 0 && i < s->in.h && j >= 0 && j < s->in.w;
                        if (!inside && !s->count_pad) continue;
                        sum += inside ? x[(i * s->in.w + j) * s->in.c + c] : s->zero;
                        count++;
                    }
                *y++ = (uint8_t)((sum + count / 2) / count);
            }
}
