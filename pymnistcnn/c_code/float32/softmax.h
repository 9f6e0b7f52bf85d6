/* y may be x. */
static void softmax(float *y, const float *x, int n) {
    const float top = largest(x, n);
    float partial[16] = {0}, sum;
    int i;
    for (i = 0; i < n; i++) {
        y[i] = exp_of(x[i] - top);
        partial[i % 16] += y[i];
    }
    sum = tree(partial);
    for (i = 0; i < n; i++) {
        y[i] /= sum;
        if (y[i] < 0x1p-126f) y[i] = 0; /* no subnormal numbers */
    }
}
