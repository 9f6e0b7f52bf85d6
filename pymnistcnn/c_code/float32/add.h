/* y may be a or b. */
static void add(float *y, const float *a, const float *b, int n) {
    int i;
    for (i = 0; i < n; i++) y[i] = a[i] + b[i];
}
