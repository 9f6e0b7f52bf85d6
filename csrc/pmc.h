/* pymnistcnn's C library: what its callers need.
 *
 * A model becomes a plan; a plan is data; a backend runs plans; kernels only do arithmetic. Nothing here knows Python.
 * Only names that start with pmc_ leave the library. Read on in operations.h and shapes.h. */
#pragma once

#include "operations.h"
#include "step.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PMC_OK,
    PMC_BAD_SHAPE,  /* a size is zero, negative, inconsistent or overflows */
    PMC_BAD_BOUNDS, /* a reference reaches outside its arena */
    PMC_NO_MEMORY,
    PMC_MISSING,       /* a run was not given an array that its program needs */
    PMC_NOT_FINITE,    /* a step made a parameter or a running moment NaN or infinite; its bad_layer names it */
    PMC_INTERRUPTED,   /* the caller's `interrupted` said so: what a step began with is lost */
    PMC_DEVICE_MEMORY, /* of a device other than the processor, as: */
    PMC_DEVICE_FAILED  /* what went wrong is in pmc_target_error */
} pmc_status;

/* Under the address sanitizer, plans leave so many bytes between buffers, and touching them is an error. */
#ifdef __SANITIZE_ADDRESS__
#define PMC_GUARD 256
#else
#define PMC_GUARD 0
#endif

/* ---- targets: a device, its instruction set, the precision of products ----------------------------------- */

/* "cpu" with "avx2" and "full", "cuda" with "" and "tf32", ... */
typedef struct pmc_target pmc_target;
int64_t pmc_target_count(void); /* that there is code for, slowest first */
const pmc_target *pmc_target_at(int64_t i);
const char *pmc_target_device(const pmc_target *target);
const char *pmc_target_isa(const pmc_target *target);
const char *pmc_target_precision(const pmc_target *target);
/* Why it cannot be used here, by this build; NULL: it can. */
const char *pmc_target_problem(const pmc_target *target);
/* Does it multiply words of two factors of bfloat16? Otherwise a plan has to round them. */
int pmc_target_pairs(const pmc_target *target);
/* Is it there to be asked for, as others of its precision are as fast here? */
int pmc_target_slow(const pmc_target *target);
const char *pmc_target_error(const pmc_target *target); /* what went wrong last, in this thread */

const char *pmc_cuda_architectures(void); /* that this build has code for; NULL: it is without CUDA */
void pmc_cuda_describe(char *text, size_t size);
/* Of independent FMAs on a processor's target: returns the operations done, 0 if it is none. */
double pmc_fma_peak(const pmc_target *target, int64_t dtype, void *sink, int64_t repeats);
/* Of the products of a large linear layer, y [n][out] = x [n][in] * w [in][out], `repeats` times, with whatever is in
 * `room`, of pmc_products_elements, where y begins; packs: x is packed each time. Returns as above. */
double pmc_products(const pmc_target *target, const pmc_linear *shape, int64_t n, int packs, int64_t repeats,
                    void *room);

/* ---- plans ----------------------------------------------------------------------------------------------- */

/* Consecutive ops of one scope: between two phases all threads meet. */
typedef struct {
    int64_t scope, first_op, ops;
} pmc_phase;

/* Consecutive phases. What a plan can do: each is run from its first phase to its last. PREPARE derives PACK from
 * PARAM, and runs before any of the others. */
#define PMC_PROGRAM_KINDS(PROGRAM)                                                                                     \
    PROGRAM(PREPARE) PROGRAM(TRAIN) PROGRAM(EVALUATE) PROGRAM(PREDICT) PROGRAM(FORWARD) PROGRAM(BACKWARD)
#define PMC_PROGRAM_NAME(NAME) PMC_##NAME,
typedef enum { PMC_PROGRAM_KINDS(PMC_PROGRAM_NAME) PMC_PROGRAMS } pmc_program_kind;

typedef struct {
    int64_t first_phase, phases;
} pmc_program;

/* What a reference holds: bytes from sample to sample, or 0 and the bytes of all there is. */
typedef struct {
    int64_t sample, whole;
} pmc_extent;

/* What an op's references hold; of the sizes, dtype, microbatch, model_bytes and the elements are looked at. */
pmc_status pmc_op_extents(pmc_extent extents[PMC_REFS], const pmc_op *op, const pmc_plan_sizes *sizes);

typedef struct pmc_plan pmc_plan;

/* Checks every shape and reference, copies all, and allocates the plan's arenas on the target. A device other than the
 * processor takes a plan whose microbatch is its capacity. On failure *bad_op is the op at fault, or -1. */
pmc_status pmc_plan_new(pmc_plan **plan, const pmc_plan_sizes *sizes, const pmc_op *ops, const pmc_phase *phases,
                        const pmc_program programs[PMC_PROGRAMS], const pmc_target *target, int64_t *bad_op);
pmc_status pmc_plan_copy(pmc_plan **copy, const pmc_plan *plan); /* the same plan, with arenas of its own */
void pmc_plan_free(pmc_plan *plan);

/* Fill the plan's own arenas with one byte: results must not depend on it (tests). */
pmc_status pmc_plan_fill(pmc_plan *plan, int byte);

/* A copy of some bytes of the BATCH arena, which are there. */
pmc_status pmc_plan_peek(pmc_plan *plan, void *to, int64_t offset, int64_t bytes);

/* ---- runs ------------------------------------------------------------------------------------------------ */

/* A copy, on a device, of an array that several runs read. */
typedef struct {
    const void *host;
    void *memory;
    int64_t bytes;
    const pmc_target *target;
} pmc_resident;
pmc_status pmc_resident_new(pmc_resident *resident, const pmc_target *target, const void *host, int64_t bytes);
void pmc_resident_free(pmc_resident *resident);

/* An array of which each of several processes has a part: rank i the units, of so many bytes each, from bounds[i] to
 * bounds[i + 1]. */
typedef struct {
    char *array;
    int64_t unit;
    const int64_t *bounds;
} pmc_scattered;
enum { PMC_DIVISIONS = 3 };

typedef struct {
    pmc_step step;
    int64_t threads;
    int64_t count, batch;                /* samples in all, and a step */
    int64_t items;                       /* pictures, labels and so on that there are: count, or what `index` is of */
    const pmc_resident *const *resident; /* of a device: what need not be brought for this run */
    int64_t residents;
    int prepared;       /* the plan's last run had these weights: PREPARE need not be run */
    double *op_seconds; /* out, [threads][ops], added to: a profile; or NULL */
    int64_t done;       /* out: steps that were finished */
    /* NULL, or asked now and then, in the calling thread, whether to stop in the middle. */
    int (*interrupted)(void *context);
    void *context;
    /* Several processes, each with the same arrays, may do a run together, on processors: each the shards of its own, of
     * which it lets all others have what they need. Both are called in the calling thread, and return whether to stop.
     * `share` lets all have all of some arrays. `exchange` takes an array whose units are rows, and lets rank i have the
     * columns from columns[i] to columns[i + 1], of so many bytes each, of all rows. */
    int64_t rank, ranks; /* 0: this process is alone */
    int64_t *bounds;     /* [PMC_DIVISIONS][ranks + 1], as room */
    int (*share)(void *context, const pmc_scattered *arrays, int64_t count);
    int (*exchange)(void *context, const pmc_scattered *rows, const int64_t *columns, int64_t column_bytes);

    /* Set by the runner: */
    int64_t next_look;      /* when to ask again, in nanoseconds */
    uint64_t floating_mode; /* the caller's, in which `interrupted` is asked */
    int stopping;
} pmc_run_args;

/* Of a step's shards, the first that a rank computes. */
PMC_INLINE int64_t pmc_first_shard(int64_t rank, int64_t ranks, int64_t shards) { return shards * rank / ranks; }

/* Runs PREPARE, unless that was done, then `program` once for every step of `batch` samples (the last may be partial).
 * Gradients are needed where the program writes them. */
pmc_status pmc_run(pmc_plan *plan, pmc_program_kind program, pmc_run_args *args);

/* ---- small things ---------------------------------------------------------------------------------------- */

int64_t pmc_default_threads(void);
int64_t pmc_usable_threads(int64_t threads); /* so many, or fewer where the system refuses to make them */
const char *pmc_openmp_runtime(void);

/* Philox4x32-10, for tests: out[4] from counter[4] and key[2]. */
void pmc_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

#ifdef __cplusplus
}
#endif
