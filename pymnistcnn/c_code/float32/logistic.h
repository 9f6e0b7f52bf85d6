/* 1 / (1 + exp(-x)) without cancellation. */
static float logistic(float x) {
    const float e = exp_of(x > 0 ? -x : x), share = 1 / (1 + e);
    return x > 0 ? share : e * share;
}
