/* The backend of devices other than the processor. A step is recorded once, as launches of the device kernels of its
 * ops, and replayed; what changes from step to step lies on the device (pmc_step). The weights and what is beside them
 * belong to the model, on the processor: they are brought before the first step of a run and fetched after its last. */
#include "../plan.h"
#include "device.h"

#include <stdlib.h>
#include <string.h>

enum {
    INDEX,
    NUMBERS,
    X,
    LABELS,
    TARGETS,
    SAMPLE_WEIGHT,
    CLASS_WEIGHT,
    PARTNER,
    SHARE,
    BOX,
    Y,
    DY,
    DX,
    COEFFICIENTS,
    LOSS,
    WEIGHT,
    CORRECT,
    ARRAYS
};
enum { GRAPHS = 8 };

/* A recorded step, and what it was recorded for. */
typedef struct {
    void *graph;
    pmc_program_kind program;
    int64_t n, batch;
} recorded_step;

/* What a plan has on a device. */
typedef struct {
    const pmc_device *device;
    void *queue;
    char *arena[PMC_ARENAS], *moment[PMC_MOMENTS], *average; /* the last two from the first run that has them */
    pmc_step *step;
    double *loss; /* [capacity], as is: */
    uint8_t *correct;
    struct {
        void *memory;
        int64_t bytes;
    } array[ARRAYS];
    recorded_step steps[GRAPHS];
    int64_t recorded; /* in all: the oldest of GRAPHS gives way */
} device_memory;

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const pmc_status status = (call);                                                                              \
        if (status != PMC_OK) return status;                                                                           \
    } while (0)

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- memory ---- */

static void device_free(pmc_plan *plan) {
    device_memory *on = plan->memory;
    const pmc_device *device = on->device;
    if (on->queue) {
        for (int64_t i = 0; i < smaller(on->recorded, GRAPHS); i++) device->forget(on->steps[i].graph);
        device->close(on->queue);
    }
    for (int i = 0; i < PMC_ARENAS; i++) device->release(on->arena[i]);
    for (int i = 0; i < PMC_MOMENTS; i++) device->release(on->moment[i]);
    for (int i = 0; i < ARRAYS; i++) device->release(on->array[i].memory);
    device->release(on->average), device->release(on->step), device->release(on->loss), device->release(on->correct);
    free(on);
}

static void arena_bytes(int64_t bytes[PMC_ARENAS], const pmc_plan_sizes *s) {
    const int64_t all[PMC_ARENAS] = {
        [PMC_PARAM] = s->model_bytes,
        [PMC_GRADIENT] = s->model_bytes,
        [PMC_PACK] = s->pack_bytes,
        [PMC_BATCH] = s->batch_bytes,
        [PMC_SHARD] = s->shard_bytes * pmc_shards(s->capacity),
        [PMC_THREAD] = s->thread_bytes,
    };
    memcpy(bytes, all, sizeof all);
}

/* All samples are in flight at once: a plan's microbatches are whole batches. */
static pmc_status device_new(pmc_plan *plan) {
    const pmc_plan_sizes *s = &plan->sizes;
    const pmc_device *device = plan->target->on;
    int64_t bytes[PMC_ARENAS];
    if (s->microbatch != s->capacity) return PMC_BAD_SHAPE;
    device_memory *on = plan->memory = calloc(1, sizeof *on);
    if (!on) return PMC_NO_MEMORY;
    on->device = device;
    arena_bytes(bytes, s);
    TRY(device->open(&on->queue));
    for (int i = PMC_PARAM; i < PMC_ARENAS; i++) TRY(device->allocate((void **)&on->arena[i], bytes[i]));
    TRY(device->allocate((void **)&on->step, sizeof *on->step));
    TRY(device->allocate((void **)&on->loss, s->capacity * (int64_t)sizeof *on->loss));
    return device->allocate((void **)&on->correct, s->capacity);
}

static pmc_status device_fill(pmc_plan *plan, int byte) {
    const device_memory *on = plan->memory;
    int64_t bytes[PMC_ARENAS];
    arena_bytes(bytes, &plan->sizes);
    for (int i = PMC_PACK; i < PMC_ARENAS; i++) TRY(on->device->fill(on->queue, on->arena[i], byte, bytes[i]));
    return on->device->finish(on->queue);
}

static pmc_status device_peek(pmc_plan *plan, void *to, int64_t offset, int64_t bytes) {
    const device_memory *on = plan->memory;
    TRY(on->device->download(on->queue, to, on->arena[PMC_BATCH] + offset, bytes));
    return on->device->finish(on->queue);
}

pmc_status pmc_resident_new(pmc_resident *resident, const pmc_target *target, const void *host, int64_t bytes) {
    const pmc_device *device = target->on;
    void *queue;
    *resident = (pmc_resident){.host = host, .bytes = bytes, .target = target};
    if (!device) return PMC_OK;
    TRY(device->open(&queue));
    pmc_status status = device->allocate(&resident->memory, bytes);
    if (status == PMC_OK) status = device->upload(queue, resident->memory, host, bytes);
    if (status == PMC_OK) status = device->finish(queue);
    device->close(queue);
    if (status != PMC_OK) pmc_resident_free(resident);
    return status;
}

void pmc_resident_free(pmc_resident *resident) {
    if (resident->memory) resident->target->on->release(resident->memory);
    resident->memory = NULL;
}

/* ---- a step ---- */

/* One program of one plan for steps of n samples. */
typedef struct {
    const pmc_plan *plan;
    int64_t n, batch;
} recording;

static pmc_status launch(const recording *r, const pmc_op *op) {
    const pmc_plan_sizes *s = &r->plan->sizes;
    const device_memory *on = r->plan->memory;
    pmc_job job = {.op = *op,
                   .n = r->n,
                   .shards = pmc_shards(r->n),
                   .shard_elements = s->shard_bytes / pmc_real_bytes(s),
                   .model_elements = s->model_bytes / pmc_real_bytes(s),
                   .precision = on->device->precision,
                   .step = on->step};
    for (int i = 0; i < PMC_REFS; i++)
        if (op->ref[i].arena != PMC_NOWHERE) job.ref[i] = on->arena[op->ref[i].arena] + op->ref[i].offset;
    return on->device->launch(on->queue, on->device->kernel[s->dtype](op->kind), &job);
}

/* A large linear layer's gradient is complete: its weights and bias are updated by ops of their own. */
static pmc_status launch_update(const recording *r, const pmc_op *of, pmc_ref w, pmc_ref g, int64_t elements) {
    const pmc_op op = {
        .kind = PMC_UPDATE, .layer = of->layer, .ref = {w, g}, .shape.parameter = {.elements = elements}};
    return w.arena == PMC_NOWHERE ? PMC_OK : launch(r, &op);
}

static pmc_status launch_program(const recording *r, pmc_program_kind program) {
    const pmc_plan *plan = r->plan;
    const pmc_program *p = &plan->programs[program];
    for (const pmc_phase *phase = plan->phases + p->first_phase; phase < plan->phases + p->first_phase + p->phases;
         phase++)
        for (const pmc_op *op = plan->ops + phase->first_op; op < plan->ops + phase->first_op + phase->ops; op++) {
            TRY(launch(r, op));
            if (op->kind != PMC_LINEAR_TILE_WEIGHT_GRADIENT) continue;
            const pmc_linear *s = &op->shape.linear;
            TRY(launch_update(r, op, op->ref[4], op->ref[0], s->in * pmc_linear_pitch(s)));
            TRY(launch_update(r, op, op->ref[5], op->ref[1], pmc_padded(s->out)));
        }
    return PMC_OK;
}

static pmc_status record(const recording *r, pmc_program_kind program, void **graph) {
    const device_memory *on = r->plan->memory;
    const pmc_op end = {.kind = PMC_OP_KINDS, .shape.field = {pmc_has_loss(program), r->batch}};
    TRY(on->device->record(on->queue));
    pmc_status status = launch_program(r, program);
    if (status == PMC_OK) status = launch(r, &end);
    const pmc_status closed = on->device->recorded(on->queue, graph);
    if (status == PMC_OK) return closed;
    if (closed == PMC_OK) on->device->forget(*graph);
    return status;
}

/* The recorded step for n samples; a new one if there is none. */
static pmc_status step_of(const recording *r, pmc_program_kind program, void **graph) {
    device_memory *on = r->plan->memory;
    for (int64_t i = 0; i < smaller(on->recorded, GRAPHS); i++)
        if (on->steps[i].program == program && on->steps[i].n == r->n && on->steps[i].batch == r->batch)
            return *graph = on->steps[i].graph, PMC_OK;
    TRY(record(r, program, graph));
    recorded_step *oldest = &on->steps[on->recorded % GRAPHS];
    if (on->recorded >= GRAPHS) on->device->forget(oldest->graph);
    *oldest = (recorded_step){*graph, program, r->n, r->batch};
    on->recorded++;
    return PMC_OK;
}

/* ---- a run ---- */

/* Room on the device for one of the arrays; NULL where there is nothing on the processor. */
static pmc_status make_room(device_memory *on, int which, const void *host, int64_t bytes, const void *out) {
    void **to = (void **)out;
    *to = NULL;
    if (!host) return PMC_OK;
    if (on->array[which].bytes < bytes) {
        on->device->release(on->array[which].memory);
        on->array[which].memory = NULL, on->array[which].bytes = 0;
        TRY(on->device->allocate(&on->array[which].memory, bytes));
        on->array[which].bytes = bytes;
    }
    *to = on->array[which].memory;
    return PMC_OK;
}

/* A copy of an array of the processor's: a part of what is resident, or one for this run. */
static pmc_status bring(device_memory *on, const pmc_run_args *a, int which, const void *host, int64_t bytes,
                        const void *out) {
    for (int64_t i = 0; host && i < a->residents; i++) {
        const pmc_resident *r = a->resident[i];
        const int64_t skip = (const char *)host - (const char *)r->host;
        if (r->target->on == on->device && skip >= 0 && skip <= r->bytes - bytes)
            return *(void **)out = (char *)r->memory + skip, PMC_OK;
    }
    TRY(make_room(on, which, host, bytes, out));
    return host ? on->device->upload(on->queue, *(void **)out, host, bytes) : PMC_OK;
}

/* step <- the caller's step, of which the arrays are on the device */
static pmc_status bring_arrays(const pmc_plan *plan, const pmc_run_args *a, pmc_step *step, int64_t steps) {
    const pmc_plan_sizes *s = &plan->sizes;
    const int64_t r = pmc_real_bytes(s), items = a->items;
    const pmc_step *host = &a->step;
    device_memory *on = plan->memory;
    TRY(bring(on, a, INDEX, host->index, a->count * 8, &step->index));
    TRY(bring(on, a, NUMBERS, host->numbers, a->count * 8, &step->numbers));
    TRY(bring(on, a, X, host->x_u8, items * s->x_elements, &step->x_u8));
    if (!host->x_u8) TRY(bring(on, a, X, host->x_real, items * s->x_elements * r, &step->x_real));
    TRY(bring(on, a, LABELS, host->labels, items * 4, &step->labels));
    TRY(bring(on, a, TARGETS, host->targets, items * s->y_elements * r, &step->targets));
    TRY(bring(on, a, SAMPLE_WEIGHT, host->sample_weight, items * 8, &step->sample_weight));
    TRY(bring(on, a, CLASS_WEIGHT, host->class_weight, s->y_elements * 8, &step->class_weight));
    TRY(bring(on, a, PARTNER, host->partner, a->count * 8, &step->partner));
    TRY(bring(on, a, SHARE, host->share, a->count * 8, &step->share));
    TRY(bring(on, a, BOX, host->box, a->count * 16, &step->box));
    TRY(bring(on, a, DY, host->dy, a->count * s->y_elements * r, &step->dy));
    TRY(bring(on, a, COEFFICIENTS, host->coefficients, steps * (int64_t)sizeof *host->coefficients,
              &step->coefficients));
    TRY(make_room(on, Y, host->y, a->count * s->y_elements * r, &step->y));
    TRY(make_room(on, DX, host->dx, a->count * s->x_elements * r, &step->dx));
    TRY(bring(on, a, WEIGHT, host->weight, steps * 8, &step->weight));
    TRY(make_room(on, LOSS, host->loss, steps * 8, &step->loss));
    return make_room(on, CORRECT, host->correct, steps * 8, &step->correct);
}

/* A vector of the model's: weights, gradients, moments, average; NULL where there is none. */
static pmc_status bring_vector(const pmc_plan *plan, char **to, const void *host, real **out) {
    const device_memory *on = plan->memory;
    *out = NULL;
    if (!host) return PMC_OK;
    if (!*to) TRY(on->device->allocate((void **)to, plan->sizes.model_bytes));
    *out = *to;
    return on->device->upload(on->queue, *to, host, plan->sizes.model_bytes);
}

static pmc_status bring_vectors(const pmc_plan *plan, const pmc_step *host, pmc_step *step, int trains) {
    device_memory *on = plan->memory;
    TRY(bring_vector(plan, &on->arena[PMC_PARAM], host->param, &step->param));
    if (!trains) return PMC_OK;
    TRY(bring_vector(plan, &on->arena[PMC_GRADIENT], host->gradient, &step->gradient));
    TRY(bring_vector(plan, &on->average, host->average, &step->average));
    for (int i = 0; i < PMC_MOMENTS; i++) TRY(bring_vector(plan, &on->moment[i], host->moment[i], &step->moment[i]));
    return PMC_OK;
}

static pmc_status fetch(const device_memory *on, void *host, const void *from, int64_t bytes) {
    return host ? on->device->download(on->queue, host, from, bytes) : PMC_OK;
}

static pmc_status fetch_all(const pmc_plan *plan, const pmc_run_args *a, pmc_step *step, int64_t steps, int trains) {
    const device_memory *on = plan->memory;
    const pmc_plan_sizes *s = &plan->sizes;
    const pmc_step *host = &a->step;
    TRY(fetch(on, host->loss, step->loss, steps * 8));
    TRY(fetch(on, host->correct, step->correct, steps * 8));
    TRY(fetch(on, host->y, step->y, a->count * s->y_elements * pmc_real_bytes(s)));
    TRY(fetch(on, host->dx, step->dx, a->count * s->x_elements * pmc_real_bytes(s)));
    if (trains) {
        TRY(fetch(on, host->gradient, step->gradient, s->model_bytes));
        TRY(fetch(on, host->average, step->average, s->model_bytes));
        for (int i = 0; i < PMC_MOMENTS; i++) TRY(fetch(on, host->moment[i], step->moment[i], s->model_bytes));
        TRY(fetch(on, host->param, step->param, s->model_bytes));
    }
    TRY(fetch(on, step, on->step, sizeof *step));
    return on->device->finish(on->queue);
}

static pmc_status run_steps(const pmc_plan *plan, pmc_program_kind program, pmc_run_args *a) {
    const device_memory *on = plan->memory;
    const recording one = {plan, 1, 1};
    for (int64_t start = 0; start < a->count; start += a->batch) {
        const recording r = {plan, smaller(a->batch, a->count - start), a->batch};
        void *graph;
        if (pmc_stopping(a, 1)) return PMC_INTERRUPTED;
        TRY(step_of(&r, program, &graph));
        if (start == 0) TRY(launch_program(&one, PMC_PREPARE));
        TRY(on->device->replay(on->queue, graph));
    }
    return PMC_OK;
}

static pmc_status device_run(pmc_plan *plan, pmc_program_kind program, pmc_run_args *a) {
    const device_memory *on = plan->memory;
    const int64_t steps = pmc_blocks(a->count, a->batch);
    const int trains = program != PMC_EVALUATE && program != PMC_PREDICT;
    pmc_step step = a->step;
    step.sample_loss = on->loss, step.sample_correct = on->correct;
    pmc_status status = bring_vectors(plan, &a->step, &step, trains);
    if (status == PMC_OK) status = bring_arrays(plan, a, &step, steps);
    if (status == PMC_OK) status = on->device->upload(on->queue, on->step, &step, sizeof step);
    if (status == PMC_OK) status = run_steps(plan, program, a);
    if (status == PMC_OK) status = fetch_all(plan, a, &step, steps, trains);
    if (status != PMC_OK) return on->device->finish(on->queue), status;
    a->step.number = steps, a->step.bad_step = step.bad_step, a->step.bad_layer = step.bad_layer;
    return PMC_OK;
}

const pmc_backend pmc_device_backend = {device_new, device_free, device_fill, device_peek, device_run};
