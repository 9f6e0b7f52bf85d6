# What of csrc the binding uses.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "pmc.h" nogil:
    enum:
        PMC_PROGRAMS
        PMC_REFS
        PMC_FIELDS
        PMC_MOMENTS
        PMC_PREDICT

    ctypedef enum pmc_status:
        PMC_OK
        PMC_BAD_SHAPE
        PMC_BAD_BOUNDS
        PMC_NO_MEMORY
        PMC_MISSING
        PMC_NOT_FINITE
        PMC_INTERRUPTED
        PMC_DEVICE_MEMORY
        PMC_DEVICE_FAILED

    ctypedef struct pmc_linear:
        int64_t inputs "in"
        int64_t out, sparse
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
    ctypedef struct pmc_target:
        pass
    ctypedef struct pmc_resident:
        pass
    ctypedef struct pmc_extent:
        int64_t sample, whole
    ctypedef struct pmc_plan_sizes:
        int64_t dtype, capacity, microbatch
        int64_t model_bytes, pack_bytes, batch_bytes, shard_bytes, thread_bytes
        int64_t x_elements, y_elements
        int64_t ops, phases
        int64_t pairs

    ctypedef struct pmc_reference:
        const char *name
        unsigned flags
    ctypedef struct pmc_operation:
        int scope
        pmc_reference ref[6]
    const pmc_operation *const *pmc_operations

    ctypedef struct pmc_step:
        void *param
        void *gradient
        void *moment[3]
        void *average
        int64_t optimizer
        const pmc_coefficients *coefficients
        const int64_t *index
        const int64_t *numbers
        const uint8_t *x_u8
        const void *x_real
        const int32_t *labels
        const void *targets
        const double *sample_weight
        const int64_t *partner
        const double *share
        const int32_t *box
        int64_t height, width
        const double *class_weight
        void *y
        const void *dy
        void *dx
        uint64_t seed
        uint32_t epoch, first_position
        double *loss
        double *weight
        int64_t *correct
        int64_t bad_layer

    ctypedef struct pmc_scattered:
        char *array
        int64_t unit
        const int64_t *bounds
    enum:
        PMC_DIVISIONS

    ctypedef struct pmc_run_args:
        pmc_step step
        int64_t threads
        int64_t count, batch, items
        const pmc_resident **resident
        int64_t residents
        int prepared
        double *op_seconds
        int64_t done
        int (*interrupted)(void *context) noexcept nogil
        void *context
        int64_t rank, ranks
        int64_t *bounds
        int (*share)(void *context, const pmc_scattered *arrays, int64_t count) noexcept nogil
        int (*exchange)(void *context, const pmc_scattered *rows, const int64_t *columns,
                        int64_t column_bytes) noexcept nogil

    int64_t pmc_padded(int64_t n)
    int64_t pmc_shards(int64_t n)
    int64_t pmc_shard_begin(int64_t shard, int64_t shards, int64_t n)
    int64_t pmc_first_shard(int64_t rank, int64_t ranks, int64_t shards)
    int64_t pmc_target_count()
    const pmc_target *pmc_target_at(int64_t i)
    const char *pmc_target_device(const pmc_target *target)
    const char *pmc_target_isa(const pmc_target *target)
    const char *pmc_target_precision(const pmc_target *target)
    const char *pmc_target_problem(const pmc_target *target)
    int pmc_target_pairs(const pmc_target *target)
    int pmc_target_slow(const pmc_target *target)
    const char *pmc_target_error(const pmc_target *target)
    double pmc_fma_peak(const pmc_target *target, int64_t dtype, void *sink, int64_t repeats)
    int64_t pmc_products_elements(const pmc_linear *shape, int64_t n)
    double pmc_products(const pmc_target *target, const pmc_linear *shape, int64_t n, int packs, int64_t repeats,
                        void *room)
    pmc_status pmc_op_extents(pmc_extent *extents, const pmc_op *op, const pmc_plan_sizes *sizes)
    pmc_status pmc_plan_new(pmc_plan **plan, const pmc_plan_sizes *sizes, const pmc_op *ops,
                            const pmc_phase *phases, const pmc_program *programs, const pmc_target *target,
                            int64_t *bad_op)
    pmc_status pmc_plan_copy(pmc_plan **copy, const pmc_plan *plan)
    void pmc_plan_free(pmc_plan *plan)
    pmc_status pmc_plan_fill(pmc_plan *plan, int byte)
    pmc_status pmc_plan_peek(pmc_plan *plan, void *to, int64_t offset, int64_t bytes)
    const char *pmc_cuda_architectures()
    void pmc_cuda_describe(char *text, size_t size)
    pmc_status pmc_resident_new(pmc_resident *resident, const pmc_target *target, const void *host, int64_t bytes)
    void pmc_resident_free(pmc_resident *resident)
    pmc_status pmc_run(pmc_plan *plan, int program, pmc_run_args *args)
    int64_t pmc_default_threads()
    int64_t pmc_usable_threads(int64_t threads)
    const char *pmc_openmp_runtime()
    void pmc_philox(uint32_t *out, const uint32_t *counter, const uint32_t *key)
