/* A convolution, an activation and a max-pool, whose windows lie side by side; weights are [k][kh][kw][c / groups]. A
 * linear layer is a convolution of one pixel. */
typedef struct {
    size in, out; /* out: behind the pool */
    int kh, kw, stride_h, stride_w, top, left, dilation_h, dilation_w, groups, pool_h, pool_w;
    float (*activation)(float x);
    int piece_rows, span, piece; /* how a long sum is cut, or 0 */
} conv_shape;

/* One output before the pool: channel k of the window that begins at this row and column of x. */
typedef float conv_sum(const conv_shape *s, const float *x, const float *w, float bias, int k, int row, int column);
