/* The vector type and its primitives: the only place where an ISA shows.
 *
 * PMC_REAL is float or double; PMC_ISA is PMC_PORTABLE, PMC_AVX2, PMC_AVX512 or PMC_NEON and sets the width.
 * All arithmetic is GCC/Clang vector extensions, except what they cannot say: fma, sqrt, partial access.
 * `s - (vf){0}` splats a scalar without an instruction; `(vf){0} + s` would cost a real addition. */
#pragma once
#include "../shapes.h"

#include <string.h>

/* Instruction sets, as macros: the preprocessor chooses by them. */
#define PMC_PORTABLE 0
#define PMC_AVX2 1
#define PMC_AVX512 2
#define PMC_NEON 3
#define PMC_AVX512_BF16 PMC_AVX512 /* one instruction more: factors.h */
#define PMC_AMX PMC_AVX512         /* and tiles: amx.h */
#if PMC_ISA == PMC_AVX2 || PMC_ISA == PMC_AVX512
#include <immintrin.h>
#elif PMC_ISA == PMC_NEON
#include <arm_neon.h>
#endif

#define INLINE PMC_INLINE __attribute__((always_inline))
#define KERNEL static
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The vector registers: what a kernel keeps in them is sized by these two numbers. */
#if PMC_ISA == PMC_AVX512
enum { VECTOR_BYTES = 64, REGISTERS = 32 };
#elif PMC_ISA == PMC_AVX2
enum { VECTOR_BYTES = 32, REGISTERS = 16 };
#elif PMC_ISA == PMC_NEON
enum { VECTOR_BYTES = 16, REGISTERS = 32 };
#else
enum { VECTOR_BYTES = 16, REGISTERS = 16 };
#endif
enum { ACCUMULATORS = REGISTERS * 3 / 4 }; /* the others are for operands */

/* lane: an integer as wide as a real; the bits of a real's mantissa, and the bias of its exponent */
#if PMC_DOUBLE
typedef int64_t lane;
enum { MANTISSA = 52, BIAS = 1023 };
#else
typedef int32_t lane;
enum { MANTISSA = 23, BIAS = 127 };
#endif
enum { VL = VECTOR_BYTES / sizeof(real), PARTS = PMC_PAD / VL };

typedef real vf __attribute__((vector_size(VECTOR_BYTES)));
typedef lane vi __attribute__((vector_size(VECTOR_BYTES)));
typedef uint8_t vb __attribute__((vector_size(VL)));
typedef real vf_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

INLINE vf v_load(const real *p) { return *(const vf_unaligned *)p; }
INLINE void v_store(real *p, vf v) { *(vf_unaligned *)p = v; }
INLINE vf v_splat(real s) { return s - (vf){0}; }
INLINE vi v_splat_lane(lane s) { return s - (vi){0}; }

/* p, in one register: loads at constant distances from it are then one instruction each. GCC would rather compute every
 * address by itself, with more instructions than there are FMAs to feed. */
INLINE const real *one_pointer(const real *p) {
    __asm__("" : "+r"(p));
    return p;
}

/* The first n lanes only, 0 <= n: other memory is not touched, other lanes are loaded as 0. */
#if PMC_ISA == PMC_AVX512
INLINE uint32_t first_lanes(int64_t n) { return n >= VL ? (1u << VL) - 1 : (1u << n) - 1; }
#elif PMC_ISA == PMC_AVX2
INLINE __m256i first_lanes(int64_t n) {
    static const lane window[2 * VL] = {[0 ... VL - 1] = -1};
    return _mm256_loadu_si256((const __m256i *)(window + VL - MIN(n, VL)));
}
#endif

INLINE vf v_load_n(const real *p, int64_t n) {
#if PMC_ISA == PMC_AVX2
    if (n >= VL) return v_load(p);
#endif
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return (vf)_mm512_maskz_loadu_pd((__mmask8)first_lanes(n), p);
#elif PMC_ISA == PMC_AVX512
    return (vf)_mm512_maskz_loadu_ps((__mmask16)first_lanes(n), p);
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    return (vf)_mm256_maskload_pd(p, first_lanes(n));
#elif PMC_ISA == PMC_AVX2
    return (vf)_mm256_maskload_ps(p, first_lanes(n));
#else
    vf v = {0};
    if (n >= VL) return v_load(p);
    for (int i = 0; i < VL - 1; i++)
        if (i < n) v[i] = p[i];
    return v;
#endif
}

INLINE void v_store_n(real *p, vf v, int64_t n) {
#if PMC_ISA == PMC_AVX2 /* masked stores take a dozen cycles on AMD's Zen 1 to 3 */
    if (n >= VL) {
        v_store(p, v);
        return;
    }
#endif
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    _mm512_mask_storeu_pd(p, (__mmask8)first_lanes(n), (__m512d)v);
#elif PMC_ISA == PMC_AVX512
    _mm512_mask_storeu_ps(p, (__mmask16)first_lanes(n), (__m512)v);
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    _mm256_maskstore_pd(p, first_lanes(n), (__m256d)v);
#elif PMC_ISA == PMC_AVX2
    _mm256_maskstore_ps(p, first_lanes(n), (__m256)v);
#else
    if (n >= VL) v_store(p, v);
    else
        for (int i = 0; i < VL - 1; i++)
            if (i < n) p[i] = v[i];
#endif
}

/* a * b + c: one rounding where the ISA has it, two in the portable build. */
INLINE vf v_fma(vf a, vf b, vf c) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return (vf)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif PMC_ISA == PMC_AVX512
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    return (vf)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif PMC_ISA == PMC_AVX2
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif PMC_ISA == PMC_NEON
    /* GCC makes one instruction of it. Intrinsics it takes for calls that may touch memory: arrays of sums would not
     * stay in registers. */
    for (int i = 0; i < VL; i++)
        c[i] = PMC_DOUBLE ? __builtin_fma(a[i], b[i], c[i]) : __builtin_fmaf((float)a[i], (float)b[i], (float)c[i]);
    return c;
#else
    return a * b + c;
#endif
}

/* The same, in c's register. Where sums take nearly all registers, GCC puts some into others and moves them about. */
INLINE vf v_fma_in_place(vf a, vf b, vf c) {
#if PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    __asm__("vfmadd231pd %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
    return c;
#elif PMC_ISA == PMC_AVX2
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
    return c;
#else
    return v_fma(a, b, c);
#endif
}

INLINE vf v_sqrt(vf a) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return (vf)_mm512_sqrt_pd((__m512d)a);
#elif PMC_ISA == PMC_AVX512
    return (vf)_mm512_sqrt_ps((__m512)a);
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    return (vf)_mm256_sqrt_pd((__m256d)a);
#elif PMC_ISA == PMC_AVX2
    return (vf)_mm256_sqrt_ps((__m256)a);
#else
    for (int i = 0; i < VL; i++) a[i] = (real)(PMC_DOUBLE ? __builtin_sqrt(a[i]) : __builtin_sqrtf(a[i]));
    return a;
#endif
}

INLINE vf v_to_real(vi v) { return __builtin_convertvector(v, vf); }
INLINE vi v_to_lane(vf v) { return __builtin_convertvector(v, vi); } /* towards 0 */
INLINE real v_first(vf v) { return v[0]; }

/* v, but 0 from lane n on */
INLINE vf v_keep_n(vf v, int64_t n) {
    for (int i = 0; i < VL; i++)
        if (i >= n) v[i] = 0;
    return v;
}

/* mask lanes are all ones or all zeros, as comparisons make them */
INLINE vf v_select(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
INLINE vi v_select_lane(vi mask, vi yes, vi no) { return (mask & yes) | (~mask & no); }

/* A bit a lane of a mask, the first lane's the lowest. */
INLINE uint32_t v_bits(vi mask) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return _mm512_movepi64_mask((__m512i)mask);
#elif PMC_ISA == PMC_AVX512
    return _mm512_movepi32_mask((__m512i)mask);
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    return (uint32_t)_mm256_movemask_pd((__m256d)mask);
#elif PMC_ISA == PMC_AVX2
    return (uint32_t)_mm256_movemask_ps((__m256)mask);
#elif PMC_ISA == PMC_NEON && PMC_DOUBLE
    return (uint32_t)vaddvq_s64(mask & (vi){1, 2});
#elif PMC_ISA == PMC_NEON
    return (uint32_t)vaddvq_s32(mask & (vi){1, 2, 4, 8});
#else
    uint32_t bits = 0;
    for (int i = 0; i < VL; i++) bits |= (uint32_t)(mask[i] & 1) << i;
    return bits;
#endif
}

/* A bit a lane that is not 0: of numbers, and of integers. */
INLINE uint32_t v_nonzero(vf v) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return _mm512_cmp_pd_mask((__m512d)v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
#elif PMC_ISA == PMC_AVX512
    return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
#else
    return v_bits(v != 0);
#endif
}
INLINE uint32_t v_nonzero_lanes(vi v) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return _mm512_test_epi64_mask((__m512i)v, (__m512i)v);
#elif PMC_ISA == PMC_AVX512
    return _mm512_test_epi32_mask((__m512i)v, (__m512i)v);
#else
    return v_bits(v != 0);
#endif
}

/* A bit a lane: is it as large as the other one; is it 0 or more? */
INLINE uint32_t v_equal(vi a, vi b) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return _mm512_cmpeq_epi64_mask((__m512i)a, (__m512i)b);
#elif PMC_ISA == PMC_AVX512
    return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
#else
    return v_bits(a == b);
#endif
}
INLINE uint32_t v_not_negative(vi v) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return _mm512_cmpge_epi64_mask((__m512i)v, _mm512_setzero_si512());
#elif PMC_ISA == PMC_AVX512
    return _mm512_cmpge_epi32_mask((__m512i)v, _mm512_setzero_si512());
#else
    return v_bits(v >= 0);
#endif
}

/* Lanes to choose, where a is larger than b, or NaN. In AVX-512 comparisons give masks that are no vectors; compilers do not
 * see that a mask which became one need not have. */
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
enum { LANES_ARE_CHEAP = 1 };
typedef __mmask8 v_lanes;
INLINE v_lanes v_at_least(vi a, lane b) { return _mm512_cmpge_epi64_mask((__m512i)a, _mm512_set1_epi64(b)); }
INLINE v_lanes v_greater(vf a, vf b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ); }
INLINE v_lanes v_larger_or_nan(vf a, vf b) {
    return _kor_mask8(v_greater(a, b), _mm512_cmp_pd_mask((__m512d)a, (__m512d)a, _CMP_UNORD_Q));
}
INLINE vf v_choose(v_lanes lanes, vf yes, vf no) { return (vf)_mm512_mask_mov_pd((__m512d)no, lanes, (__m512d)yes); }
INLINE vi v_choose_lane(v_lanes lanes, vi yes, vi no) {
    return (vi)_mm512_mask_mov_epi64((__m512i)no, lanes, (__m512i)yes);
}
#elif PMC_ISA == PMC_AVX512
enum { LANES_ARE_CHEAP = 1 };
typedef __mmask16 v_lanes;
INLINE v_lanes v_at_least(vi a, lane b) { return _mm512_cmpge_epi32_mask((__m512i)a, _mm512_set1_epi32(b)); }
INLINE v_lanes v_greater(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ); }
INLINE v_lanes v_larger_or_nan(vf a, vf b) {
    return _kor_mask16(v_greater(a, b), _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q));
}
INLINE vf v_choose(v_lanes lanes, vf yes, vf no) { return (vf)_mm512_mask_mov_ps((__m512)no, lanes, (__m512)yes); }
INLINE vi v_choose_lane(v_lanes lanes, vi yes, vi no) {
    return (vi)_mm512_mask_mov_epi32((__m512i)no, lanes, (__m512i)yes);
}
#else
enum { LANES_ARE_CHEAP = 0 };
typedef vi v_lanes;
INLINE v_lanes v_at_least(vi a, lane b) { return a >= b; }
INLINE v_lanes v_greater(vf a, vf b) { return a > b; }
INLINE v_lanes v_larger_or_nan(vf a, vf b) { return (a > b) | (a != a); }
INLINE vf v_choose(v_lanes lanes, vf yes, vf no) { return v_select(lanes, yes, no); }
INLINE vi v_choose_lane(v_lanes lanes, vi yes, vi no) { return v_select_lane(lanes, yes, no); }
#endif

#if PMC_ISA == PMC_AVX2 || PMC_ISA == PMC_NEON
/* For every set of bits: the numbers of those that are set, a byte each, the first in the lowest. */
#define BIT(i, bits) ((uint64_t)((bits) >> i & 1) * i << 8 * __builtin_popcount((bits) & ((1 << i) - 1)))
#define BITS(b) (BIT(1, b) | BIT(2, b) | BIT(3, b) | BIT(4, b) | BIT(5, b) | BIT(6, b) | BIT(7, b))
#define BITS_4(b) BITS(b), BITS(b + 1), BITS(b + 2), BITS(b + 3)
#define BITS_16(b) BITS_4(b), BITS_4(b + 4), BITS_4(b + 8), BITS_4(b + 12)
#define BITS_64(b) BITS_16(b), BITS_16(b + 16), BITS_16(b + 32), BITS_16(b + 48)
#if PMC_ISA == PMC_AVX2
static const uint64_t bit_numbers[256] = {BITS_64(0), BITS_64(64), BITS_64(128), BITS_64(192)};
#else
/* The same for vqtbl1q_u8: the numbers of the bytes of four lanes of 32 bits. */
#define LANE(i, b) (0x03020100u + 0x04040404u * (uint32_t)(BITS(b) >> 8 * i & 0xff))
#define LANES(b) LANE(0, b), LANE(1, b), LANE(2, b), LANE(3, b)
#define LANES_4(b) LANES(b), LANES(b + 1), LANES(b + 2), LANES(b + 3)
static const uint32_t lane_bytes[16 * 4] = {LANES_4(0), LANES_4(4), LANES_4(8), LANES_4(12)};
#endif
#endif

/* The lanes whose bits are set, moved to the front. */
INLINE vf v_compress(vf v, uint32_t bits) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return (vf)_mm512_maskz_compress_pd((__mmask8)bits, (__m512d)v);
#elif PMC_ISA == PMC_AVX512
    return (vf)_mm512_maskz_compress_ps((__mmask16)bits, (__m512)v);
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    const __m256i pairs = _mm256_slli_epi64(_mm256_cvtepu8_epi64(_mm_loadu_si32(&bit_numbers[bits])), 1);
    const __m256i from = _mm256_or_si256(pairs, _mm256_slli_epi64(_mm256_or_si256(pairs, _mm256_set1_epi64x(1)), 32));
    return (vf)_mm256_permutevar8x32_epi32((__m256i)v, from);
#elif PMC_ISA == PMC_AVX2
    return (vf)_mm256_permutevar8x32_epi32((__m256i)v, _mm256_cvtepu8_epi32(_mm_loadu_si64(&bit_numbers[bits])));
#elif PMC_ISA == PMC_NEON && PMC_DOUBLE
    return bits == 2 ? (vf)vdupq_laneq_f64(v, 1) : v;
#elif PMC_ISA == PMC_NEON
    return (vf)vqtbl1q_u8((uint8x16_t)v, (uint8x16_t)vld1q_u32(lane_bytes + 4 * bits));
#else
    real lanes[VL];
    int count = 0;
    for (int i = 0; i < VL; i++) {
        lanes[count] = v[i];
        count += (int)(bits >> i & 1);
    }
    memcpy(&v, lanes, sizeof v);
    return v;
#endif
}

/* A mask: lanes whose word, of 32 bits, is not below a threshold. */
INLINE vi v_words_at_least(const uint32_t *words, uint32_t threshold) {
    typedef uint32_t vu __attribute__((vector_size(VL * sizeof(uint32_t))));
    vu word;
    memcpy(&word, words, sizeof word);
#if PMC_DOUBLE
    return __builtin_convertvector(word, vi) >= (lane)threshold;
#else
    return (vi)(word >= threshold);
#endif
}

/* Lanes from and to bytes. Compilers make a conversion of such vectors of moves of single lanes. */
INLINE vi v_load_bytes(const uint8_t *p) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return (vi)_mm512_cvtepu8_epi64(_mm_loadu_si64(p));
#elif PMC_ISA == PMC_AVX512
    return (vi)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    return (vi)_mm256_cvtepu8_epi64(_mm_loadu_si32(p));
#elif PMC_ISA == PMC_AVX2
    return (vi)_mm256_cvtepu8_epi32(_mm_loadu_si64(p));
#elif PMC_ISA == PMC_NEON
    uint64_t b = 0;
    memcpy(&b, p, VL);
    const uint32x4_t words = vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(b))));
    return PMC_DOUBLE ? (vi)vmovl_u32(vget_low_u32(words)) : (vi)words;
#else
    vb b;
    memcpy(&b, p, VL);
    return __builtin_convertvector(b, vi);
#endif
}
INLINE vb v_bytes(vi v) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    const __m128i b = _mm512_cvtepi64_epi8((__m512i)v);
#elif PMC_ISA == PMC_AVX512
    const __m128i b = _mm512_cvtepi32_epi8((__m512i)v);
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    const __m256i low = _mm256_shuffle_epi8((__m256i)v, _mm256_set1_epi64x(0x0800)); /* the lowest bytes, by halves */
    const __m128i b = _mm_unpacklo_epi16(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
#elif PMC_ISA == PMC_AVX2
    const __m256i low = _mm256_shuffle_epi8((__m256i)v, _mm256_set1_epi64x(0x0c080400));
    const __m128i b = _mm_unpacklo_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
#elif PMC_ISA == PMC_NEON
    const uint8x16_t b = vqtbl1q_u8((uint8x16_t)v, PMC_DOUBLE ? (uint8x16_t){0, 8} : (uint8x16_t){0, 4, 8, 12});
#else
    const vb b = __builtin_convertvector(v, vb);
#endif
    vb bytes;
    memcpy(&bytes, &b, sizeof bytes);
    return bytes;
}
INLINE void v_store_bytes_n(uint8_t *p, vi v, int64_t n) {
    vb b = v_bytes(v);
    if (n >= VL) memcpy(p, &b, VL);
    else memcpy(p, &b, (size_t)n);
}

/* a0 b0 a1 b1 ... of the lower halves of a and b, and of their upper halves */
#if defined(__clang__)
#define V_SHUFFLE(type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define V_SHUFFLE(type, a, b, ...) __builtin_shuffle(a, b, (type){__VA_ARGS__})
#endif
#define V_LOW_2 0, 2
#define V_HIGH_2 1, 3
#define V_LOW_4 0, 4, 1, 5
#define V_HIGH_4 2, 6, 3, 7
#define V_LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define V_HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define V_LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define V_HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#if PMC_ISA == PMC_AVX512
#define V_WORDS(HALF) V_##HALF##_8
#define V_LANES(HALF) V_##HALF##_16
#elif PMC_ISA == PMC_AVX2
#define V_WORDS(HALF) V_##HALF##_4
#define V_LANES(HALF) V_##HALF##_8
#else
#define V_WORDS(HALF) V_##HALF##_2
#define V_LANES(HALF) V_##HALF##_4
#endif
#if PMC_DOUBLE
#undef V_LANES
#define V_LANES(HALF) V_WORDS(HALF)
#endif
INLINE vf v_interleave_low(vf a, vf b) { return V_SHUFFLE(vi, a, b, V_LANES(LOW)); }
INLINE vf v_interleave_high(vf a, vf b) { return V_SHUFFLE(vi, a, b, V_LANES(HIGH)); }

/* Words of 32 bits in the lower halves of lanes of 64, as philox multiplies them. */
typedef uint64_t vw __attribute__((vector_size(VECTOR_BYTES)));
INLINE vw v_multiply_words(vw a, uint32_t b) {
#if PMC_ISA == PMC_AVX512
    return (vw)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif PMC_ISA == PMC_AVX2
    return (vw)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#elif PMC_ISA == PMC_NEON
    return vmull_n_u32(vmovn_u64(a), b);
#else
    return (a & 0xFFFFFFFFu) * b;
#endif
}

INLINE vw v_interleave_words_low(vw a, vw b) { return V_SHUFFLE(vw, a, b, V_WORDS(LOW)); }
INLINE vw v_interleave_words_high(vw a, vw b) { return V_SHUFFLE(vw, a, b, V_WORDS(HIGH)); }

/* p[at], or `otherwise` where at is negative. */
INLINE vf v_gather(const real *p, vi at, vf otherwise) {
#if PMC_ISA == PMC_AVX512 && PMC_DOUBLE
    return (vf)_mm512_mask_i64gather_pd((__m512d)otherwise, (__mmask8)~v_bits(at < 0), (__m512i)at, p, 8);
#elif PMC_ISA == PMC_AVX512
    return (vf)_mm512_mask_i32gather_ps((__m512)otherwise, (__mmask16)~v_bits(at < 0), (__m512i)at, p, 4);
#elif PMC_ISA == PMC_AVX2 && PMC_DOUBLE
    return (vf)_mm256_mask_i64gather_pd((__m256d)otherwise, p, (__m256i)at, (__m256d)~at, 8);
#elif PMC_ISA == PMC_AVX2
    return (vf)_mm256_mask_i32gather_ps((__m256)otherwise, p, (__m256i)at, (__m256)~at, 4);
#else
    for (int i = 0; i < VL; i++)
        if (at[i] >= 0) otherwise[i] = p[at[i]];
    return otherwise;
#endif
}

#if PMC_ISA == PMC_AVX512 && !PMC_DOUBLE
/* Lanes 4 to 19 of two vectors that follow each other. */
INLINE vf v_quarter_up(vf v, vf next) { return (vf)_mm512_alignr_epi32((__m512i)next, (__m512i)v, 4); }
#endif

/* The first n lanes, so many elements apart. */
INLINE void v_store_apart_n(real *p, int64_t apart, vf v, int64_t n) {
    if (apart == 1) v_store_n(p, v, n);
    else
        for (int i = 0; i < MIN(n, VL); i++) p[i * apart] = v[i];
}

/* 0 where x is finite, NaN elsewhere. */
INLINE vf v_finite(vf x) { return x - x; }
INLINE int all_finite(vf nan_or_zero) { return !v_nonzero(nan_or_zero); }

/* The sum of 16 partials by one fixed tree, the same on every ISA. */
INLINE real sum_partials(const vf partial[PARTS]) {
    real t[PMC_PAD];
    memcpy(t, partial, sizeof t);
    for (int half = PMC_PAD / 2; half; half /= 2)
        for (int i = 0; i < half; i++) t[i] += t[i + half];
    return t[0];
}

/* ---- exp, log, tanh: our own, so that no libm decides a bit ---------------------------------------- */

/* exp(x) = 2^k (1 + q): x = k ln2 + r with |r| <= ln2 / 2, q = e^r - 1 by Taylor's series, ln2 in two
 * pieces so that k ln2 is exact. Valid for the finite range; callers clamp. */
INLINE vf exp_parts(vf x, vi *k) {
#if PMC_DOUBLE
    const real magic = 0x1.8p52, ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    static const real series[] = {1. / 6227020800., 1. / 479001600., 1. / 39916800., 1. / 3628800.,
                                  1. / 362880.,     1. / 40320.,     1. / 5040.,     1. / 720.,
                                  1. / 120.,        1. / 24.,        1. / 6.,        1. / 2.};
#else
    const real magic = 0x1.8p23f, ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    static const real series[] = {1.f / 5040.f, 1.f / 720.f, 1.f / 120.f, 1.f / 24.f, 1.f / 6.f, 1.f / 2.f};
#endif
    vf round = v_fma(x, v_splat((real)1.44269504088896340736), v_splat(magic)) - magic;
    vf r = v_fma(round, v_splat(-ln2_high), x);
    r = v_fma(round, v_splat(-ln2_low), r);
    *k = v_to_lane(round);
    vf q = v_splat(series[0]);
    for (size_t i = 1; i < sizeof series / sizeof *series; i++) q = v_fma(q, r, v_splat(series[i]));
    return v_fma(q * r, r, r);
}

INLINE vf v_power_of_two(vi k) { return (vf)((k + BIAS) << MANTISSA); }

INLINE vf v_exp(vf x) {
    const real lowest = PMC_DOUBLE ? -746 : -104, highest = PMC_DOUBLE ? 710 : 89;
    vf clamped = v_select(x < lowest, v_splat(lowest), x); /* NaN passes both */
    clamped = v_select(clamped > highest, v_splat(highest), clamped);
    vi k;
    vf q = exp_parts(clamped, &k);
    vi half = k >> 1; /* two factors, so that the result may overflow or be subnormal */
    return (q + 1) * v_power_of_two(half) * v_power_of_two(k - half);
}

/* exp(x) - 1 without cancellation, for x <= 0. */
INLINE vf v_expm1(vf x) {
    const real lowest = PMC_DOUBLE ? -700 : -80;
    vi k;
    vf q = exp_parts(v_select(x < lowest, v_splat(lowest), x), &k), power = v_power_of_two(k);
    return v_fma(power, q, power - 1);
}

/* tanh |x| = e / (e + 2), e = exp(2 |x|) - 1 without cancellation. */
INLINE vf v_tanh(vf x) {
    vi sign = (vi)x & (vi)v_splat((real)-0.);
    vf magnitude = (vf)((vi)x ^ sign);
    magnitude = v_select(magnitude > 20, v_splat(20), magnitude);
    vi k;
    vf q = exp_parts(magnitude + magnitude, &k), power = v_power_of_two(k), e = v_fma(power, q, power - 1);
    return (vf)((vi)(e / (e + 2)) ^ sign);
}

/* log of a normal positive number (NaN and infinity give NaN): x = 2^k m, log m = 2 atanh(s), s = (m - 1) / (m + 1),
 * |s| < 0.172. */
INLINE vf v_log(vf x) {
    enum { TERMS = PMC_DOUBLE ? 11 : 5 };
    const lane sqrt_half = (lane)(PMC_DOUBLE ? 0x3fe6a09e667f3bcdLL : 0x3f3504f3);
    vi k = ((vi)x - sqrt_half) >> MANTISSA;
    vf m = (vf)((vi)x - (k << MANTISSA));
    vf s = (m - 1) / (m + 1), square = s * s, sum = (vf){0};
    for (int i = TERMS; i > 0; i--) sum = v_fma(sum, square, v_splat((real)2 / (real)(2 * i + 1)));
    vf log_m = v_fma(sum * square, s, s + s);
    return v_fma(v_to_real(k), v_splat((real)0.69314718055994530942), log_m) + v_finite(x);
}

/* log(1 + x) for 0 <= x, with what 1 + x has lost. */
INLINE vf v_log1p(vf x) {
    vf sum = 1 + x;
    return v_log(sum) + (x - (sum - 1)) / sum;
}
