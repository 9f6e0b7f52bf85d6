/* A sample's random words: Philox (rng.h) in vectors, a block a lane. */

enum { RANDOM_BLOCKS = 64, RANDOM_LANES = VECTOR_BYTES / 8 }; /* at most so many blocks at a time */

/* words [blocks][4]: blocks `first` on of what happens to `sample` in a layer (`stream`) and epoch. */
static void random_words(uint32_t *words, uint32_t first, int64_t blocks, uint32_t sample, int64_t stream,
                         pmc_random random) {
    const vw low = (vw){0} + 0xFFFFFFFFu;
    for (int64_t block = 0; block < blocks; block += RANDOM_LANES) {
        vw c0 = (vw){0}, c1 = c0 + sample, c2 = c0 + (uint32_t)stream, c3 = c0 + random.epoch;
        uint32_t k0 = (uint32_t)random.seed, k1 = (uint32_t)(random.seed >> 32);
        uint64_t lanes[2 * RANDOM_LANES];
        for (int lane = 0; lane < RANDOM_LANES; lane++) lanes[lane] = (uint32_t)(first + block + lane);
        memcpy(&c0, lanes, sizeof c0);
        for (int round = 0; round < 10; round++) {
            const vw a = v_multiply_words(c0, 0xD2511F53u), b = v_multiply_words(c2, 0xCD9E8D57u);
            c0 = (b >> 32) ^ c1 ^ k0;
            c2 = (a >> 32) ^ c3 ^ k1;
            c1 = b & low;
            c3 = a & low;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        const vw pairs[2] = {c0 | c1 << 32, c2 | c3 << 32}; /* a block's words lie side by side */
        memcpy(lanes, pairs, sizeof pairs);
        for (int lane = 0; lane < MIN(RANDOM_LANES, blocks - block); lane++, words += 4) {
            memcpy(words, &lanes[lane], 8);
            memcpy(words + 2, &lanes[RANDOM_LANES + lane], 8);
        }
    }
}
