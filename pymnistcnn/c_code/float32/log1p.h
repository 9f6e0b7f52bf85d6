/* log(1 + x) for 0 <= x, with what 1 + x has lost. */
static float log1p_of(float x) {
    const float sum = 1 + x;
    return log_of(sum) + (x - (sum - 1)) / sum;
}
