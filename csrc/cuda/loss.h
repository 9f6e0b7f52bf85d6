/* Device kernels of softmax and of the losses: a thread a sample, with kernels/loss.h. */
#pragma once
#include "grid.h"
#include "../kernels/loss.h"

#define BY_SAMPLE(name, ...)                                                                                           \
    static int64_t name##_blocks(const pmc_job *j) { return blocks_of(j->n, THREADS); }                                \
    BLOCK name##_block(const pmc_job *j, int64_t block) {                                                              \
        FOR_THREADS(t) {                                                                                               \
            const int64_t sample = block * THREADS + t;                                                                \
            if (sample < j->n) {                                                                                       \
                __VA_ARGS__;                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    DEVICE_KERNEL(name)
#define SOFTMAX(name)                                                                                                  \
    BY_SAMPLE(name, const pmc_softmax *s = &j->op.shape.softmax; const int64_t stride = pmc_image_stride(&s->image);   \
              name(SAMPLE(0, sample, stride), SAMPLE(1, sample, stride), s, 1))
SOFTMAX(softmax_forward)
SOFTMAX(softmax_backward)
SOFTMAX(log_softmax_forward)
SOFTMAX(log_softmax_backward)

#define LOSS(name)                                                                                                     \
    BY_SAMPLE(name, const pmc_classes *s = &j->op.shape.classes; const int64_t stride = pmc_vector_stride(s->classes); \
              const pmc_targets targets = targets_at(j->step, sample);                                                 \
              name(SAMPLE(0, sample, stride), j->step->sample_loss + sample, j->step->sample_correct + sample,         \
                   SAMPLE(1, sample, stride), &targets, s, 1))
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
    pmc_step *step = j->step;
    FOR_THREADS(t) {
        losses[t] = 0, corrects[t] = 0;
        for (int64_t i = t; j->op.shape.field[0] && i < j->n; i += THREADS)
            losses[t] += step->sample_loss[i], corrects[t] += step->sample_correct[i];
    }
    FOR_THREADS(t) {
        if (t == block) {
            double loss = 0;
            int64_t correct = 0;
            for (int i = 0; i < THREADS; i++) loss += losses[i], correct += corrects[i];
            if (j->op.shape.field[0]) step->loss[step->number] = loss, step->correct[step->number] = correct;
            if (step->bad_layer != INT64_MAX && step->bad_step == INT64_MAX) step->bad_step = step->number;
            step->start += j->op.shape.field[1];
            step->number++;
        }
    }
}
DEVICE_KERNEL(end_of_step)
