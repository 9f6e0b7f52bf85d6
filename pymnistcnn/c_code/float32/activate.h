/* y may be x. */
static void activate(float *y, const float *x, int n, float (*activation)(float x)) {
    int i;
    for (i = 0; i < n; i++) y[i] = activation(x[i]);
}
