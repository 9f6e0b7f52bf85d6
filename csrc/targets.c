/* Which targets this build has code for, and which of them this machine can run. */
#include "cuda/device.h"
#include "plan.h"

#include <string.h>

#include "kernels/rng.h"

#if defined PMC_HAVE_AMX && !defined PMC_AMX_EMULATED
#include <cpuid.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* The compiler's run-time test reads CPUID and, with XGETBV, which registers the operating system saves. */
static int any_processor(void) { return 1; }
#ifdef __x86_64__
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#ifdef PMC_HAVE_AVX512_BF16
static int has_avx512_bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
/* Intel multiplies words on one port, FMAs on two: as many products, of which Winograd's method takes fewer. */
static int has_one_of_two_ports(void) { return __builtin_cpu_is("intel"); }
#endif
#ifdef PMC_AMX_EMULATED
static int has_amx(void) { return has_avx512_bf16(); }
#elif defined PMC_HAVE_AMX
/* Tiles have to be there, and Linux has to be asked for them: it then saves them for all threads of the process. */
static int ask_for_tiles(void) {
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, ASK_FOR = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    if (!has_avx512_bf16() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (d & AMX_BF16) && (d & AMX_TILE) && syscall(SYS_arch_prctl, ASK_FOR, TILE_DATA) == 0;
}
static int has_amx(void) {
    static atomic_int asked; /* 0: not yet; else 1 more than the answer */
    int answer = atomic_load(&asked);
    if (answer == 0) atomic_store(&asked, answer = 1 + ask_for_tiles());
    return answer - 1;
}
#endif
#endif

extern const pmc_kernels pmc_kernels_portable_f32, pmc_kernels_portable_f64;
extern const pmc_kernels pmc_kernels_avx2_f32, pmc_kernels_avx2_f64, pmc_kernels_avx512_f32, pmc_kernels_avx512_f64;
extern const pmc_kernels pmc_kernels_neon_f32, pmc_kernels_neon_f64;
extern const pmc_kernels pmc_kernels_avx512_bf16_bf16, pmc_kernels_amx_bf16;

#define PROCESSOR(name, test)                                                                                          \
    {                                                                                                                  \
        .device = "cpu", .isa = #name, .precision = "full", .backend = &pmc_cpu_backend,                               \
        .kernels = {&pmc_kernels_##name##_f32, &pmc_kernels_##name##_f64}, .usable = test                              \
    }
#define ROUNDED(name, test)                                                                                            \
    {                                                                                                                  \
        .device = "cpu", .isa = #name, .precision = "bf16", .backend = &pmc_cpu_backend,                               \
        .kernels = {&pmc_kernels_##name##_f32, NULL}, .usable = test                                                   \
    }
#define PAIRS(name, test, is_slow)                                                                                     \
    {                                                                                                                  \
        .device = "cpu", .isa = #name, .precision = "bf16", .backend = &pmc_cpu_backend, .pairs = 1,                   \
        .kernels = {&pmc_kernels_##name##_bf16, NULL}, .usable = test, .slow = is_slow                                 \
    }
#define DEVICE(name, of_products, on_device)                                                                           \
    { .device = name, .isa = "", .precision = of_products, .backend = &pmc_device_backend, .on = on_device }
#define DEVICES(name, on_devices)                                                                                      \
    DEVICE(name, "full", &on_devices[PMC_FULL]), DEVICE(name, "tf32", &on_devices[PMC_TF32]),                          \
        DEVICE(name, "bf16", &on_devices[PMC_BF16])

/* Slowest first; the processor's last one of a precision that is not `slow` is its default. */
static const pmc_target targets[] = {
    PROCESSOR(portable, any_processor),
#ifdef __x86_64__
    PROCESSOR(avx2, has_avx2),
    PROCESSOR(avx512, has_avx512),
#elif defined(__aarch64__)
    PROCESSOR(neon, any_processor),
#endif
    ROUNDED(portable, any_processor),
#ifdef __x86_64__
    ROUNDED(avx2, has_avx2),
    ROUNDED(avx512, has_avx512),
#ifdef PMC_HAVE_AVX512_BF16
    PAIRS(avx512_bf16, has_avx512_bf16, has_one_of_two_ports),
#endif
#ifdef PMC_HAVE_AMX
    PAIRS(amx, has_amx, NULL),
#endif
#elif defined(__aarch64__)
    ROUNDED(neon, any_processor),
#endif
    DEVICES("emulated", pmc_emulated_devices),
#ifdef PMC_HAVE_CUDA
    DEVICES("cuda", pmc_gpu_devices),
#endif
};

int64_t pmc_target_count(void) { return sizeof targets / sizeof *targets; }
const pmc_target *pmc_target_at(int64_t i) { return &targets[i]; }
const char *pmc_target_device(const pmc_target *target) { return target->device; }
const char *pmc_target_isa(const pmc_target *target) { return target->isa; }
const char *pmc_target_precision(const pmc_target *target) { return target->precision; }
const char *pmc_target_problem(const pmc_target *target) {
    if (target->on) return target->on->problem();
    return target->usable() ? NULL : "this processor, or its operating system, does not have these instructions";
}
int pmc_target_pairs(const pmc_target *target) { return target->pairs; }
int pmc_target_slow(const pmc_target *target) { return target->slow && target->slow(); }
const char *pmc_target_error(const pmc_target *target) { return target->on ? target->on->error() : ""; }

double pmc_fma_peak(const pmc_target *target, int64_t dtype, void *sink, int64_t repeats) {
    return target->on ? 0 : target->kernels[dtype]->fma_peak(sink, repeats);
}

double pmc_products(const pmc_target *target, const pmc_linear *shape, int64_t n, int packs, int64_t repeats,
                    void *room) {
    return target->on ? 0 : target->kernels[PMC_FLOAT32]->products(room, shape, n, packs, repeats);
}

void pmc_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    philox(out, counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
}

#ifdef PMC_HAVE_CUDA
const char *pmc_cuda_architectures(void) { return pmc_gpu_architectures(); }
void pmc_cuda_describe(char *text, size_t size) { pmc_gpu_describe(text, size); }
#else
const char *pmc_cuda_architectures(void) { return NULL; }
void pmc_cuda_describe(char *text, size_t size) { memset(text, 0, size); }
#endif
