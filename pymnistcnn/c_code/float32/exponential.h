/* exp(x) = 2^k (1 + q): x = k ln2 + r with |r| <= ln2 / 2, q = e^r - 1 by Taylor's series; gives q. */
static float exp_parts(float x, int *k) {
    static const float series[] = {1.f / 5040.f, 1.f / 720.f, 1.f / 120.f, 1.f / 24.f, 1.f / 6.f, 1.f / 2.f};
    const float magic = 0x1.8p23f, rounded = x * (float)1.44269504088896340736 + magic - magic;
    const float r = rounded * -0x1.7f7d1cp-20f + (rounded * -0x1.62e4p-1f + x);
    float q = series[0];
    int i;
    *k = (int)rounded;
    for (i = 1; i < 6; i++) q = q * r + series[i];
    return q * r * r + r;
}

static float power_of_two(int k) {
    word power;
    power.bits = (uint32_t)(k + 127) << 23;
    return power.number;
}
