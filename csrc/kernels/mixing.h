/* Mixing, in training only: two pictures of a batch are blended (mixup: Zhang et al., 2018), or a box of one covers a
 * part of the other (CutMix: Yun et al., 2019). */
#pragma once
#include "../step.h"
#include "vectors.h"

/* Which part of a picture is not its own alone, and what share of it is. */
typedef struct {
    int64_t top, bottom, left, right;
    real share;
} mixed_part;

INLINE mixed_part mixed_part_of(const pmc_step *step, int64_t place, int64_t h, int64_t w) {
    mixed_part part = {0, h, 0, w, step->box ? 0 : (real)step->share[place]};
    if (step->box) {
        const int32_t *box = step->box + 4 * place;
        part.top = MAX(0, box[0]), part.bottom = MIN(h, box[1]);
        part.left = MAX(0, box[2]), part.right = MIN(w, box[3]);
    }
    return part;
}

/* What has no share is not looked at: it may be NaN. */
INLINE real mixed(real own, real other, real share) {
    return share == 1 ? own : share == 0 ? other : own * share + other * (1 - share);
}
