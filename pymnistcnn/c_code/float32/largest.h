static float largest(const float *x, int n, int step) {
    float best = x[0];
    int i;
    for (i = 1; i < n; i++)
        if (x[i * step] > best) best = x[i * step];
    return best;
}
