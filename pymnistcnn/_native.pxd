# What of csrc/pmc.h the bridge uses.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "pmc.h" nogil:
    enum:
        PMC_ISAS
        PMC_PROGRAMS
        PMC_REFS
        PMC_FIELDS
        PMC_MOMENTS

    ctypedef enum pmc_status:
        PMC_OK
        PMC_BAD_SHAPE
        PMC_BAD_BOUNDS
        PMC_NO_MEMORY
        PMC_MISSING
        PMC_NOT_FINITE

    ctypedef struct pmc_op:
        pass
    ctypedef struct pmc_phase:
        pass
    ctypedef struct pmc_program:
        pass
    ctypedef struct pmc_coefficients:
        pass
    ctypedef struct pmc_plan:
        char *batch
    ctypedef struct pmc_plan_sizes:
        int64_t dtype, capacity, group
        int64_t model_bytes, pack_bytes, batch_bytes, shard_bytes, thread_bytes
        int64_t x_elements, y_elements
        int64_t ops, phases

    ctypedef struct pmc_kernels:
        double (*fma_peak)(void *sink, int64_t repeats) noexcept nogil

    ctypedef struct pmc_run_args:
        const pmc_kernels *kernels
        int64_t threads
        void *param
        void *gradient
        void *moment[3]
        void *average
        int64_t count, batch
        const int64_t *index
        const uint8_t *x_u8
        const void *x_real
        const int32_t *labels
        const void *targets
        const double *sample_weight
        const double *class_weight
        void *y
        const void *dy
        void *dx
        int64_t optimizer
        const pmc_coefficients *coefficients
        uint64_t seed
        uint32_t epoch, first_position
        double *op_seconds
        double *loss
        double *weight
        int64_t *correct
        int64_t done, bad_layer

    const pmc_kernels *pmc_kernels_for(int isa, int dtype)
    int pmc_isa_usable(int isa)
    const char *pmc_isa_name(int isa)
    pmc_status pmc_plan_new(pmc_plan **plan, const pmc_plan_sizes *sizes, const pmc_op *ops,
                            const pmc_phase *phases, const pmc_program *programs, int64_t *bad_op)
    void pmc_plan_free(pmc_plan *plan)
    void pmc_plan_poison(pmc_plan *plan, int byte)
    pmc_status pmc_run(pmc_plan *plan, int program, pmc_run_args *args)
    int64_t pmc_default_threads()
    const char *pmc_openmp_runtime()
    void pmc_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key)
