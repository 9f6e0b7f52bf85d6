static void softmax(float *y, const float *x, int n) {
    float top;
    const float sum = powers(y, x, n, &top);
    int i;
    for (i = 0; i < n; i++) {
        y[i] /= sum;
        if (y[i] < 0x1p-126f) y[i] = 0; /* no subnormal numbers */
    }
}
