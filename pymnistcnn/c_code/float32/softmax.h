static void softmax(float *y, const float *x, int n, int step) {
    const float top = largest(x, n, step);
    float partial[16] = {0}, sum;
    int i;
    for (i = 0; i < n; i++) {
        y[i * step] = exp_of(x[i * step] - top);
        partial[i % 16] += y[i * step];
    }
    sum = tree(partial);
    for (i = 0; i < n; i++) {
        y[i * step] /= sum;
        if (y[i * step] < 0x1p-126f) y[i * step] = 0; /* no subnormal numbers */
    }
}
