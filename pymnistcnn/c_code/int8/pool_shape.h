/* A pool of its own: any stride, padding and dilation; windows may reach over the end. */
typedef struct {
    size in, out;
    int kh, kw, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, count_pad, zero;
} pool_shape;
