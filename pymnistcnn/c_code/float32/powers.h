/* y <- exp(x - top), top being the largest of x; gives the sum. y may be x. */
static float powers(float *y, const float *x, int n, float *top) {
    float partial[16] = {0};
    int i;
    *top = x[0];
    for (i = 1; i < n; i++)
        if (x[i] > *top) *top = x[i];
    for (i = 0; i < n; i++) {
        y[i] = exp_of(x[i] - *top);
        partial[i % 16] += y[i];
    }
    return tree(partial);
}
