/* Factors of products. In full precision they are what they are. In bfloat16 (PMC_BF16) they are rounded to its 8 bits,
 * to the nearest, ties to even, and two that follow each other along a sum lie in a word, the first in its lower half;
 * their products are exact, and added up as float32: the second's first. AVX512_BF16 does it in one instruction, which takes
 * subnormal numbers for zeros, as FMAs in a run do. Where there is none, plans of float32's kernels round
 * (rounding.h), and what other headers say of bfloat16, which is about words, does not hold.
 *
 * What reads factors is written once: a word is PAIR factors. */
#pragma once
#include "vectors.h"

#ifndef PMC_BF16
#define PMC_BF16 0
#endif

/* Are products multiplied by tiles (amx.h)? */
#if defined(__AMX_BF16__) || defined(PMC_AMX_EMULATED)
#define PMC_TILES 1
#else
#define PMC_TILES 0
#endif

enum { PAIR = PMC_BF16 ? 2 : 1 };
INLINE int64_t words_of(int64_t n) { return (n + PAIR - 1) / PAIR; }

#if !PMC_BF16
typedef real factor; /* by itself */
INLINE vf v_round(vf v) { return v; }
INLINE void v_store_factors(factor *p, vf v) { v_store(p, v); }
INLINE vf v_splat_word(const real *p) { return v_splat(*p); }
INLINE vf v_first_of_pair(vf word) { return word; }
INLINE vf v_product(vf a, vf b, vf sum) { return v_fma(a, b, sum); }
#else
_Static_assert(!PMC_DOUBLE, "only products of float32 are rounded");
typedef uint16_t factor;

/* v_weave: the words of 2 * VL factors and as many others, in some order; v_unweave: sums of their products in the
 * factors' own. */

/* Words are not numbers: they are moved as integers. */
INLINE vf v_splat_word(const real *p) {
    lane word;
    memcpy(&word, p, sizeof word);
    return (vf)v_splat_lane(word);
}
INLINE vf v_first_of_pair(vf word) { return (vf)((vi)word & 0xffff); }

/* The word of two rounded numbers, in all lanes. */
INLINE vf v_splat_pair(const real *first, const real *second) {
    uint32_t a, b;
    memcpy(&a, first, sizeof a), memcpy(&b, second, sizeof b);
    return (vf)v_splat_lane((lane)(a >> 16 | b));
}

INLINE vf v_round(vf v) {
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)), 16);
}
INLINE void v_store_factors(factor *p, vf v) {
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}
INLINE vf v_pair(vf first, vf second) {
    const __m512i in_turns = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                                              6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (vf)_mm512_permutexvar_epi16(in_turns, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
}
INLINE vf v_neighbours(const real *p) { return (vf)_mm512_cvtne2ps_pbh((__m512)v_load(p + VL), (__m512)v_load(p)); }
/* The words of VL rounded factors and as many others. */
INLINE vf v_factors_pair(const factor *first, const factor *second) {
    const vi a = (vi)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)first));
    return (vf)(a | (vi)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)second)) << 16);
}
INLINE vf v_product(vf a, vf b, vf sum) { return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b); }
INLINE void v_weave(vf words[2], const factor *first, const factor *second) {
    const __m512i a = _mm512_loadu_si512(first);
    __m512i b = _mm512_loadu_si512(second);
    __asm__("" : "+v"(b)); /* in a register, or else GCC loads it twice */
    words[0] = (vf)_mm512_unpacklo_epi16(a, b);
    words[1] = (vf)_mm512_unpackhi_epi16(a, b);
}
INLINE void v_unweave(vf sums[2]) { /* of the woven words, each has every other four */
    const __m512i first = _mm512_set_epi32(23, 22, 21, 20, 7, 6, 5, 4, 19, 18, 17, 16, 3, 2, 1, 0);
    const __m512i second = _mm512_or_si512(first, _mm512_set1_epi32(8));
    const __m512 low = (__m512)sums[0], high = (__m512)sums[1];
    sums[0] = (vf)_mm512_permutex2var_ps(low, first, high);
    sums[1] = (vf)_mm512_permutex2var_ps(low, second, high);
}
#endif

/* A bit a word of which any factor is not zero. */
INLINE uint32_t v_seen(vf word) {
#if PMC_BF16
    return v_nonzero_lanes((vi)word); /* as a number, it may be subnormal */
#else
    return v_nonzero(word);
#endif
}

/* A rounded number as the first or as the second factor of a word, whose other one is 0; or neither. */
INLINE vf v_as_one_of_pair(vi first, vi second, vf rounded) {
#if PMC_BF16
    return (vf)((first & ((vi)rounded >> 16 & 0xffff)) | (second & (vi)rounded));
#else
    return (void)second, v_select(first, rounded, (vf){0});
#endif
}

/* A vector of words: of each number and the one that follows it. */
INLINE vf v_words(const real *x) {
#if PMC_BF16
    return v_pair(v_load(x), v_load(x + 1));
#else
    return v_load(x);
#endif
}

/* A matrix of words. */
typedef struct {
    const real *at;
    int64_t pitch;
} factors;

/* [rows][length]: words go along rows. In full precision these are x itself, or else `room`, filled. */
INLINE factors factors_of_rows(real *room, const real *x, int64_t rows, int64_t length, int64_t pitch) {
#if PMC_BF16
    const int64_t words = pmc_vector_stride(words_of(length));
    for (int64_t i = 0; i < rows; i++) {
        const real *from = x + i * pitch;
        real *to = room + i * words;
        int64_t e = 0;
        for (; e + 2 * VL <= length; e += 2 * VL) v_store(to + e / 2, v_neighbours(from + e));
        real rest[2 * VL] = {0};
        memcpy(rest, from + e, (size_t)(length - e) * sizeof *rest);
        if (e < length) v_store(to + e / 2, v_neighbours(rest));
    }
    return (factors){room, words};
#else
    return (void)room, (void)rows, (void)length, (factors){x, pitch};
#endif
}

/* [length][columns]: words go down columns, of which there are a multiple of VL, or memory behind them. */
INLINE factors factors_of_columns(real *room, const real *x, int64_t length, int64_t columns, int64_t pitch) {
#if PMC_BF16
    const int64_t words = pmc_padded(columns);
    for (int64_t k = 0; k < length; k += 2)
        for (int64_t c = 0; c < columns; c += VL) {
            const vf second = k + 1 < length ? v_load(x + (k + 1) * pitch + c) : (vf){0};
            v_store(room + k / 2 * words + c, v_pair(v_load(x + k * pitch + c), second));
        }
    return (factors){room, words};
#else
    return (void)room, (void)length, (void)columns, (factors){x, pitch};
#endif
}
