/* The normal distribution's share below x: exp(z^2) erfc(z) by a polynomial in 2 t - 1, t = 2 / (2 + z), times t. */
static float normal_share(float x) {
    static const float series[] = {-1.97733429e-06f, 4.20878746e-05f, -3.11484371e-05f, -0.000299199669f,
                                   0.000425197107f,  0.00152899732f,  -0.00324104592f,  -0.0107515693f,
                                   0.018221237f,     0.139735726f,    0.343580341f,     0.510791357f};
    const float power = exp_of(x * x * -0.5f), z = (x > 0 ? x : -x) * (float)0.70710678118654752440;
    const float t = 2 / (2 + z);
    float tail = series[0];
    int i;
    for (i = 1; i < 12; i++) tail = tail * (t + t - 1) + series[i];
    tail = tail * t * power * 0.5f;
    return x > 0 ? 1 - tail : tail;
}
