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
        PMC_DEVICE_MEMORY
        PMC_DEVICE_FAILED

    ctypedef struct pmc_op:
        pass
    ctypedef struct pmc_phase:
        pass
    ctypedef struct pmc_program:
        pass
    ctypedef struct pmc_coefficients:
        pass
    ctypedef struct pmc_plan:
        pass
    ctypedef struct pmc_device:
        pass
    ctypedef struct pmc_resident:
        pass
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
        int64_t count, batch, items
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
        const pmc_resident **resident
        int64_t residents
        double *op_seconds
        double *loss
        double *weight
        int64_t *correct
        int64_t done, bad_layer

    const pmc_kernels *pmc_kernels_for(int isa, int dtype)
    int pmc_isa_usable(int isa)
    const char *pmc_isa_name(int isa)
    pmc_status pmc_plan_new(pmc_plan **plan, const pmc_plan_sizes *sizes, const pmc_op *ops,
                            const pmc_phase *phases, const pmc_program *programs, const pmc_device *device,
                            int64_t *bad_op)
    void pmc_plan_free(pmc_plan *plan)
    pmc_status pmc_plan_poison(pmc_plan *plan, int byte)
    pmc_status pmc_plan_peek(pmc_plan *plan, void *to, int64_t offset, int64_t bytes)
    const pmc_device *pmc_device_named(const char *name)
    const char *pmc_device_problem(const pmc_device *device)
    int pmc_device_rounds(const pmc_device *device)
    const char *pmc_device_error(const pmc_device *device)
    const char *pmc_device_twin(const pmc_device *device, int64_t dtype, int64_t kind)
    const char *pmc_cuda_architectures()
    void pmc_cuda_describe(char *text, size_t size)
    pmc_status pmc_resident_new(pmc_resident *resident, const pmc_device *device, const void *host, int64_t bytes)
    void pmc_resident_free(pmc_resident *resident)
    pmc_status pmc_run(pmc_plan *plan, int program, pmc_run_args *args)
    int64_t pmc_default_threads()
    const char *pmc_openmp_runtime()
    void pmc_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key)
