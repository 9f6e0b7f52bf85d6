/* A sample's random words: Philox (rng.h) in vectors, a block a lane. */

enum { RANDOM_BLOCKS = 64, RANDOM_LANES = VECTOR_BYTES / 8 };   /* at most so many blocks at a time */
typedef uint64_t vw __attribute__((vector_size(VECTOR_BYTES))); /* 32 bits in each lane of 64, so as to multiply */

/* words [blocks][4]: blocks `first` on of what happens to `sample` in a layer (`stream`) and epoch. */
static void random_words(uint32_t *words, uint32_t first, int64_t blocks, uint32_t sample, int64_t stream,
                         pmc_random random) {
    const vw low = (vw){0} + 0xFFFFFFFFu;
    for (int64_t block = 0; block < blocks; block += RANDOM_LANES) {
        vw c0 = (vw){0}, c1 = c0 + sample, c2 = c0 + (uint32_t)stream, c3 = c0 + random.epoch;
        uint32_t k0 = (uint32_t)random.seed, k1 = (uint32_t)(random.seed >> 32);
        uint64_t lanes[RANDOM_LANES];
        for (int lane = 0; lane < RANDOM_LANES; lane++) lanes[lane] = (uint32_t)(first + block + lane);
        memcpy(&c0, lanes, sizeof c0);
        for (int round = 0; round < 10; round++) {
            const vw a = c0 * 0xD2511F53u, b = c2 * 0xCD9E8D57u;
            c0 = (b >> 32) ^ c1 ^ k0;
            c2 = (a >> 32) ^ c3 ^ k1;
            c1 = b & low;
            c3 = a & low;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        for (int lane = 0; lane < MIN(RANDOM_LANES, blocks - block); lane++, words += 4) {
            words[0] = (uint32_t)c0[lane], words[1] = (uint32_t)c1[lane];
            words[2] = (uint32_t)c2[lane], words[3] = (uint32_t)c3[lane];
        }
    }
}
