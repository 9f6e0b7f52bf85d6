/* A convolution and a max-pool, whose windows lie side by side; weights are [k][kh][kw][c / groups]. A linear layer is a
 * convolution whose kernel is as large as the picture. A number x stands for (x - zero) times a scale. */
typedef struct {
    size in, out; /* out: behind the pool */
    int kh, kw, stride_h, stride_w, top, left, dilation_h, dilation_w, groups, pool_h, pool_w;
    int zero_in, zero_out;
} conv_shape;
