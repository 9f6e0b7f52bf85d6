/* Twins of softmax and of the losses: a thread a sample, with kernels/loss.h. */

#define BY_SAMPLE(name, ...)                                                                                           \
    static int64_t name##_blocks(const pmc_job *j) { return blocks_of(j->n, THREADS); }                                \
    BLOCK name##_block(const pmc_job *j, int64_t block) {                                                              \
        FOR_THREADS(t) {                                                                                               \
            const int64_t sample = block * THREADS + t;                                                                \
            if (sample < j->n) {                                                                                       \
                const pmc_classes *s = &j->op.shape.classes;                                                           \
                const int64_t stride = pmc_vector_stride(s->classes);                                                  \
                __VA_ARGS__;                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    TWIN(name)
#define SOFTMAX(name) BY_SAMPLE(name, name(SAMPLE(0, sample, stride), SAMPLE(1, sample, stride), s, 1))
SOFTMAX(softmax_forward)
SOFTMAX(softmax_backward)
SOFTMAX(log_softmax_forward)
SOFTMAX(log_softmax_backward)

/* The targets of the step's samples from `sample` on. */
INLINE pmc_targets targets_of(const pmc_job *j, int64_t sample) {
    const pmc_board *board = j->board;
    const int64_t place = board->start + sample, skip = board->index ? 0 : place;
    const double weight = board->weight[board->step];
    pmc_targets t;
    t.labels = board->labels ? board->labels + skip : NULL;
    t.targets = board->targets ? board->targets + skip * j->op.shape.classes.classes : NULL;
    t.sample_weight = board->sample_weight ? board->sample_weight + skip : NULL;
    t.class_weight = board->class_weight;
    t.index = board->index ? board->index + place : NULL;
    t.scale = weight > 0 ? 1 / weight : 0;
    return t;
}
#define LOSS(name)                                                                                                     \
    BY_SAMPLE(name, const pmc_targets targets = targets_of(j, sample);                                                 \
              name(SAMPLE(0, sample, stride), j->loss + sample, j->correct + sample, SAMPLE(1, sample, stride),        \
                   &targets, s, 1))
LOSS(cross_entropy)
LOSS(likelihood)
LOSS(expected_probability)
LOSS(squared_error)

/* Adds up what the samples of a step gave, and goes on to the next. One block: threads add every THREADS-th sample,
 * then one adds their sums, so that the order does not depend on the machine. field[0]: is there a loss? field[1]: the
 * batch */
static int64_t end_of_step_blocks(const pmc_job *j) { return j->n > 0; }
BLOCK end_of_step_block(const pmc_job *j, int64_t block) {
    SHARED double losses[THREADS];
    SHARED int64_t corrects[THREADS];
    pmc_board *board = j->board;
    FOR_THREADS(t) {
        losses[t] = 0, corrects[t] = 0;
        for (int64_t i = t; j->op.shape.field[0] && i < j->n; i += THREADS)
            losses[t] += j->loss[i], corrects[t] += j->correct[i];
    }
    FOR_THREADS(t) {
        if (t == block) {
            double loss = 0;
            int64_t correct = 0;
            for (int i = 0; i < THREADS; i++) loss += losses[i], correct += corrects[i];
            if (j->op.shape.field[0]) board->loss[board->step] = loss, board->correct[board->step] = correct;
            if (board->bad_layer != INT64_MAX && board->bad_step == INT64_MAX) board->bad_step = board->step;
            board->start += j->op.shape.field[1];
            board->step++;
        }
    }
}
TWIN(end_of_step)
