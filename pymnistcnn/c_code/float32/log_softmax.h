/* x - log(sum exp x) */
static void log_softmax(float *y, const float *x, int n, int step) {
    const float top = largest(x, n, step);
    float partial[16] = {0}, log_sum;
    int i;
    for (i = 0; i < n; i++) partial[i % 16] += exp_of(x[i * step] - top);
    log_sum = log_of(tree(partial));
    for (i = 0; i < n; i++) y[i * step] = x[i * step] - top - log_sum;
}
