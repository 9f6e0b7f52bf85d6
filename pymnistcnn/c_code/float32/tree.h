/* The sum of 16 partial sums: halves are added. */
static float tree(float *partial) {
    int half, i;
    for (half = 8; half; half /= 2)
        for (i = 0; i < half; i++) partial[i] += partial[i + half];
    return partial[0];
}
