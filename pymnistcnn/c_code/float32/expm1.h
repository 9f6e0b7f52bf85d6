/* exp(x) - 1 without cancellation, for x <= 0. */
static float expm1_of(float x) {
    int k;
    float q, power;
    if (x != x) return x;
    q = exp_parts(x < -80 ? -80 : x, &k);
    power = power_of_two(k);
    return power * q + (power - 1);
}
