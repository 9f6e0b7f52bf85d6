/* tanh |x| = e / (e + 2), e = exp(2 |x|) - 1 without cancellation. */
static float tanh_of(float x) {
    word magnitude, y;
    uint32_t sign;
    int k;
    float q, power, e;
    if (x != x) return x;
    magnitude.number = x;
    sign = magnitude.bits & 0x80000000u;
    magnitude.bits ^= sign;
    if (magnitude.number > 20) magnitude.number = 20;
    q = exp_parts(magnitude.number + magnitude.number, &k);
    power = power_of_two(k);
    e = power * q + (power - 1);
    y.number = e / (e + 2);
    y.bits ^= sign;
    return y.number;
}
