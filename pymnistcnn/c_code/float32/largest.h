static float largest(const float *x, int n) {
    float best = x[0];
    int i;
    for (i = 1; i < n; i++)
        if (x[i] > best) best = x[i];
    return best;
}
