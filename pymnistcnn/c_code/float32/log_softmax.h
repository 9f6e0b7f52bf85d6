/* x - log(sum exp x); y is not x. */
static void log_softmax(float *y, const float *x, int n) {
    float top;
    const float log_sum = log_of(powers(y, x, n, &top));
    int i;
    for (i = 0; i < n; i++) y[i] = x[i] - top - log_sum;
}
