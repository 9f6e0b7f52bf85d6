/* Twins of the updates: optimizer.h, a thread an element. */

/* g: the gradient of the whole model */
static int64_t gradient_squares_blocks(const pmc_job *j) { return j->op.shape.rows.rows; }
BLOCK gradient_squares_block(const pmc_job *j, int64_t block) {
    SHARED double partial[THREADS];
    FOR_THREADS(t) {
        const int64_t first = block * PMC_SQUARES, last = MIN(first + PMC_SQUARES, j->model_elements);
        double sum = 0;
        for (int64_t e = first + t; e < last; e += THREADS) {
            const double g = (double)((const real *)j->gradient)[e];
            sum += g * g;
        }
        partial[t] = sum;
    }
    for (int half = THREADS / 2; half; half /= 2) {
        FOR_THREADS(t) {
            if (t < half) partial[t] += partial[t + half];
        }
    }
    FOR_THREADS(t) {
        if (t == 0) ((double *)j->ref[0])[block] = partial[0];
    }
}
TWIN(gradient_squares)

/* What gradients are multiplied with so that their norm is at most `most`. */
INLINE double clip_scale(const double *squares, int64_t tasks, double most) {
    double sum = 0;
    for (int64_t i = 0; i < tasks; i++) sum += squares[i];
    const double scale = most / (sqrt(sum) + 1e-6);
    return scale < 1 ? scale : 1;
}

/* An element of rows x length: its shards' gradients are added up, and it is updated unless a step before went wrong.
 */
KERNEL void update_element(const pmc_job *j, int64_t e, double clip) {
    pmc_board *board = j->board;
    const pmc_coefficients *c = board->coefficients + board->step;
    real *w = (real *)j->ref[0] + e, *g = (real *)j->gradient + e, *moment[PMC_MOMENTS];
    int finite = 1;
    if (j->ref[1]) reduce(g, (const real *)j->ref[1] + e, j->shard_elements, j->shards, 1);
    if (j->op.shape.rows.gradient_only || j->optimizer == PMC_GRADIENT_ONLY || board->bad_step != INT64_MAX) return;
    for (int i = 0; i < PMC_MOMENTS; i++) moment[i] = j->moment[i] ? (real *)j->moment[i] + e : NULL;
    switch (j->optimizer) {
    case PMC_SGD: finite = sgd(w, moment, g, c, clip, 1); break;
    case PMC_ADAM: finite = adam(w, moment, g, c, clip, 1); break;
    case PMC_RMSPROP: finite = rmsprop(w, moment, g, c, clip, 1); break;
    default: finite = adagrad(w, moment, g, c, clip, 1); break;
    }
    if (j->average) average((real *)j->average + e, w, c->average, 1);
    if (finite) return;
#ifdef __CUDA_ARCH__
    atomicMin((long long *)&board->bad_layer, (long long)j->op.layer);
#else
    board->bad_layer = MIN(board->bad_layer, j->op.layer);
#endif
}

INLINE int64_t update_elements(const pmc_job *j) { return j->op.shape.rows.rows * j->op.shape.rows.length; }
static int64_t update_blocks(const pmc_job *j) { return blocks_of(update_elements(j), THREADS); }
BLOCK update_block(const pmc_job *j, int64_t block) {
    SHARED double clip[1];
    FOR_THREADS(t) {
        if (t == 0) {
            const double most = j->board->coefficients ? j->board->coefficients[j->board->step].clip_norm : 0;
            const int clipped = j->ref[2] && most > 0;
            clip[0] =
                clipped ? clip_scale((const double *)j->ref[2], blocks_of(j->model_elements, PMC_SQUARES), most) : 1;
        }
    }
    FOR_THREADS(t) {
        const int64_t e = block * THREADS + t;
        if (e < update_elements(j)) update_element(j, e, clip[0]);
    }
}
TWIN(update)
