/* Which kernel tables and devices this build has and this machine can run. */
#include "cuda/device.h"

#include <string.h>

#include "kernels/rng.h"

extern const pmc_kernels pmc_table_portable_f32, pmc_table_portable_f64;
#ifdef PMC_HAVE_X86
extern const pmc_kernels pmc_table_avx2_f32, pmc_table_avx2_f64, pmc_table_avx512_f32, pmc_table_avx512_f64;
#endif

static const struct {
    const char *name;
    const pmc_kernels *table[PMC_DTYPES];
} isas[PMC_ISAS] = {
    [PMC_PORTABLE] = {"portable", {&pmc_table_portable_f32, &pmc_table_portable_f64}},
#ifdef PMC_HAVE_X86
    [PMC_AVX2] = {"avx2", {&pmc_table_avx2_f32, &pmc_table_avx2_f64}},
    [PMC_AVX512] = {"avx512", {&pmc_table_avx512_f32, &pmc_table_avx512_f64}},
#else
    [PMC_AVX2] = {"avx2", {NULL, NULL}},
    [PMC_AVX512] = {"avx512", {NULL, NULL}},
#endif
};

const char *pmc_isa_name(int isa) { return isa >= 0 && isa < PMC_ISAS ? isas[isa].name : NULL; }

/* The compiler's run-time test reads CPUID and, with XGETBV, what registers the OS saves. */
int pmc_isa_usable(int isa) {
    switch (isa) {
    case PMC_PORTABLE: return 1;
#ifdef PMC_HAVE_X86
    case PMC_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case PMC_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    default: return 0;
    }
}

const pmc_kernels *pmc_kernels_for(int isa, int dtype) {
    if (dtype < 0 || dtype >= PMC_DTYPES || !pmc_isa_usable(isa)) return NULL;
    return isas[isa].table[dtype];
}

void pmc_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    philox(out, counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
}

const pmc_device *pmc_device_named(const char *name) {
    for (int i = 0; i < PMC_PRECISIONS; i++) {
        if (!strcmp(name, pmc_emulated_devices[i].name)) return &pmc_emulated_devices[i];
#ifdef PMC_HAVE_CUDA
        if (!strcmp(name, pmc_gpu_devices[i].name)) return &pmc_gpu_devices[i];
#endif
    }
    return NULL;
}

const char *pmc_device_problem(const pmc_device *device) { return device->problem(); }
int pmc_device_rounds(const pmc_device *device) { return device->precision != PMC_FULL; }
const char *pmc_device_error(const pmc_device *device) { return device->error(); }
const char *pmc_device_twin(const pmc_device *device, int64_t dtype, int64_t kind) {
    const pmc_twin *twin = dtype >= 0 && dtype < PMC_DTYPES ? device->twin[dtype](kind) : NULL;
    return twin ? twin->name : NULL;
}

#ifdef PMC_HAVE_CUDA
const char *pmc_cuda_architectures(void) { return pmc_gpu_architectures(); }
void pmc_cuda_describe(char *text, size_t size) { pmc_gpu_describe(text, size); }
#else
const char *pmc_cuda_architectures(void) { return NULL; }
void pmc_cuda_describe(char *text, size_t size) { memset(text, 0, size); }
#endif
