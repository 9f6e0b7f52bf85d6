/* A sample's random words: Philox (rng.h) in vectors, a block a lane. */
#pragma once
#include "vectors.h"

enum { RANDOM_BLOCKS = 64, RANDOM_LANES = VECTOR_BYTES / 8 }; /* at most so many blocks at a time */

/* words [blocks][4], with room for a multiple of RANDOM_LANES blocks: blocks `first` on of what happens to `sample` in
 * a layer (`stream`) and epoch. */
KERNEL void random_words(uint32_t *words, uint32_t first, int64_t blocks, uint32_t sample, int64_t stream,
                         pmc_random random) {
    const vw low = (vw){0} + 0xFFFFFFFFu;
    uint64_t numbers[RANDOM_LANES];
    vw counter, keys[10][2];
    for (int lane = 0; lane < RANDOM_LANES; lane++) numbers[lane] = first + (uint64_t)lane;
    memcpy(&counter, numbers, sizeof counter);
    for (uint32_t round = 0; round < 10; round++) {
        keys[round][0] = (vw){0} + ((uint32_t)random.seed + round * 0x9E3779B9u);
        keys[round][1] = (vw){0} + ((uint32_t)(random.seed >> 32) + round * 0xBB67AE85u);
    }
    for (int64_t block = 0; block < blocks; block += RANDOM_LANES, counter += RANDOM_LANES, words += 4 * RANDOM_LANES) {
        vw c0 = counter, c1 = (vw){0} + sample, c2 = (vw){0} + (uint32_t)stream, c3 = (vw){0} + random.epoch;
        for (int round = 0; round < 10; round++) { /* the upper half of a lane holds what is not looked at */
            const vw a = v_multiply_words(c0, 0xD2511F53u), b = v_multiply_words(c2, 0xCD9E8D57u);
            c0 = (b >> 32) ^ c1 ^ keys[round][0];
            c2 = (a >> 32) ^ c3 ^ keys[round][1];
            c1 = b;
            c3 = a;
        }
        const vw first_half = (c0 & low) | c1 << 32,
                 second_half = (c2 & low) | c3 << 32; /* a block's words, two by two */
        const vw out[2] = {v_interleave_words_low(first_half, second_half),
                           v_interleave_words_high(first_half, second_half)};
        memcpy(words, out, sizeof out);
    }
}
