/* A pool of its own: any stride, padding and dilation; windows may reach over the end. */
typedef struct {
    size in, out;
    int kh, kw, stride_h, stride_w, top, bottom, left, right, dilation_h, dilation_w, count_pad, zero;
} pool_shape;
