/* Runs plans on a device: what run.c is for the processor. A step is recorded once, as launches of the twins of its
 * ops, and replayed; what changes from step to step lies on the device (pmc_board). The weights and what is beside them
 * belong to the model, on the processor: they are brought before the first step of a run and fetched after its last. */
#include "device.h"

#include <stdlib.h>
#include <string.h>

enum { INDEX, X, LABELS, TARGETS, SAMPLE_WEIGHT, CLASS_WEIGHT, Y, DY, DX, COEFFICIENTS, LOSS, WEIGHT, CORRECT, ARRAYS };
enum { GRAPHS = 8 };

/* A recorded step, and what it was recorded for. */
typedef struct {
    void *graph;
    pmc_program_kind program;
    int64_t n, batch, optimizer, vectors; /* vectors: a bit for each of the moments and the average that is there */
} recorded_step;

struct pmc_on_device {
    const pmc_device *device;
    void *queue;
    char *arena[PMC_ARENAS];
    char *gradient, *moment[PMC_MOMENTS], *average; /* beside PARAM; the last two from the first run that has them */
    pmc_board *board;
    double *loss; /* [capacity], as is: */
    uint8_t *correct;
    struct {
        void *memory;
        int64_t bytes;
    } array[ARRAYS];
    recorded_step steps[GRAPHS];
    int64_t recorded; /* in all: the oldest of GRAPHS gives way */
};

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        const pmc_status status = (call);                                                                              \
        if (status != PMC_OK) return status;                                                                           \
    } while (0)

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- memory ---- */

void pmc_on_device_free(pmc_on_device *on) {
    if (!on) return;
    const pmc_device *device = on->device;
    if (on->queue) {
        for (int64_t i = 0; i < smaller(on->recorded, GRAPHS); i++) device->forget(on->steps[i].graph);
        device->close(on->queue);
    }
    for (int i = 0; i < PMC_ARENAS; i++) device->release(on->arena[i]);
    for (int i = 0; i < PMC_MOMENTS; i++) device->release(on->moment[i]);
    for (int i = 0; i < ARRAYS; i++) device->release(on->array[i].memory);
    device->release(on->gradient), device->release(on->average), device->release(on->board);
    device->release(on->loss), device->release(on->correct);
    free(on);
}

static pmc_status allocate_all(pmc_on_device *on, const pmc_plan_sizes *s) {
    const int64_t bytes[PMC_ARENAS] = {
        [PMC_PARAM] = s->model_bytes,   [PMC_PACK] = s->pack_bytes,
        [PMC_BATCH] = s->batch_bytes,   [PMC_SHARD] = s->shard_bytes * pmc_shards(s->capacity),
        [PMC_THREAD] = s->thread_bytes,
    };
    const pmc_device *device = on->device;
    TRY(device->open(&on->queue));
    for (int i = PMC_PARAM; i < PMC_ARENAS; i++) TRY(device->allocate((void **)&on->arena[i], bytes[i]));
    TRY(device->allocate((void **)&on->gradient, s->model_bytes));
    TRY(device->allocate((void **)&on->board, sizeof *on->board));
    TRY(device->allocate((void **)&on->loss, s->capacity * (int64_t)sizeof *on->loss));
    return device->allocate((void **)&on->correct, s->capacity);
}

/* Memory for a plan whose groups are whole batches: all samples are in flight at once. */
pmc_status pmc_on_device_new(pmc_on_device **out, const pmc_plan_sizes *sizes, const pmc_device *device) {
    pmc_on_device *on = calloc(1, sizeof *on);
    if (!on) return PMC_NO_MEMORY;
    on->device = device;
    const pmc_status status = sizes->group == sizes->capacity ? allocate_all(on, sizes) : PMC_BAD_SHAPE;
    if (status != PMC_OK) return pmc_on_device_free(on), status;
    *out = on;
    return PMC_OK;
}

pmc_status pmc_on_device_fill(pmc_on_device *on, const pmc_plan_sizes *s, int byte) {
    TRY(on->device->fill(on->queue, on->arena[PMC_PACK], byte, s->pack_bytes));
    TRY(on->device->fill(on->queue, on->arena[PMC_BATCH], byte, s->batch_bytes));
    TRY(on->device->fill(on->queue, on->arena[PMC_SHARD], byte, s->shard_bytes * pmc_shards(s->capacity)));
    TRY(on->device->fill(on->queue, on->arena[PMC_THREAD], byte, s->thread_bytes));
    return on->device->finish(on->queue);
}

pmc_status pmc_on_device_peek(pmc_on_device *on, void *to, int64_t offset, int64_t bytes) {
    TRY(on->device->download(on->queue, to, on->arena[PMC_BATCH] + offset, bytes));
    return on->device->finish(on->queue);
}

pmc_status pmc_resident_new(pmc_resident *resident, const pmc_device *device, const void *host, int64_t bytes) {
    void *queue;
    *resident = (pmc_resident){.host = host, .bytes = bytes, .device = device};
    TRY(device->open(&queue));
    pmc_status status = device->allocate(&resident->memory, bytes);
    if (status == PMC_OK) status = device->upload(queue, resident->memory, host, bytes);
    if (status == PMC_OK) status = device->finish(queue);
    device->close(queue);
    if (status != PMC_OK) pmc_resident_free(resident);
    return status;
}

void pmc_resident_free(pmc_resident *resident) {
    if (resident->memory) resident->device->release(resident->memory);
    resident->memory = NULL;
}

/* ---- a step ---- */

/* One program of one plan for steps of n samples. */
typedef struct {
    const pmc_plan *plan;
    pmc_on_device *on;
    const pmc_run_args *args;
    int64_t n;
} recording;

/* Is a reference to a parameter about its gradient? */
static int names_gradient(const pmc_op *op, int ref) {
    return (op->kind == PMC_LINEAR_TILE_WEIGHT_GRADIENT && ref <= 1) ||
           (op->kind == PMC_NORM_GRADIENT && (ref == 1 || ref == 2));
}

static pmc_job job_of(const recording *r, const pmc_op *op) {
    const pmc_plan_sizes *s = &r->plan->sizes;
    const int64_t real_bytes = s->dtype == PMC_FLOAT64 ? 8 : 4;
    pmc_job job = {.op = *op,
                   .n = r->n,
                   .shards = pmc_shards(r->n),
                   .shard_elements = s->shard_bytes / real_bytes,
                   .board = r->on->board,
                   .loss = r->on->loss,
                   .correct = r->on->correct,
                   .optimizer = r->args->optimizer,
                   .model_elements = s->model_bytes / real_bytes,
                   .precision = r->on->device->precision,
                   .gradient = r->on->gradient};
    for (int i = 0; i < PMC_REFS; i++) {
        const pmc_ref *ref = &op->ref[i];
        char *base = names_gradient(op, i) ? r->on->gradient : r->on->arena[ref->arena];
        if (ref->arena != PMC_NOWHERE) job.ref[i] = base + ref->offset;
    }
    if (op->kind == PMC_UPDATE) {
        const int64_t at = op->ref[0].offset;
        job.gradient = r->on->gradient + at;
        job.average = r->args->average ? r->on->average + at : NULL;
        for (int i = 0; i < PMC_MOMENTS; i++) job.moment[i] = r->args->moment[i] ? r->on->moment[i] + at : NULL;
    }
    return job;
}

static pmc_status launch(const recording *r, const pmc_op *op) {
    const pmc_job job = job_of(r, op);
    return r->on->device->launch(r->on->queue, r->on->device->twin[r->plan->sizes.dtype](op->kind), &job);
}

/* The update of a large linear layer's weights or bias, whose gradient is complete. */
static pmc_status update(const recording *r, const pmc_op *of, int ref, int64_t rows) {
    const pmc_op op = {.kind = PMC_UPDATE,
                       .layer = of->layer,
                       .ref = {of->ref[ref]},
                       .shape.rows = {.rows = rows, .length = pmc_padded(of->shape.linear.out)}};
    return of->ref[ref].arena == PMC_NOWHERE ? PMC_OK : launch(r, &op);
}

static pmc_status launch_program(const recording *r, pmc_program_kind program) {
    const pmc_plan *plan = r->plan;
    const pmc_program *p = &plan->programs[program];
    for (const pmc_phase *phase = plan->phases + p->first_phase; phase < plan->phases + p->first_phase + p->phases;
         phase++)
        for (const pmc_op *op = plan->ops + phase->first_op; op < plan->ops + phase->first_op + phase->ops; op++) {
            TRY(launch(r, op));
            if (op->kind != PMC_LINEAR_TILE_WEIGHT_GRADIENT || op->shape.linear.gradient_only) continue;
            TRY(update(r, op, 0, op->shape.linear.in));
            TRY(update(r, op, 1, 1));
        }
    return PMC_OK;
}

static int has_loss(pmc_program_kind program) { return program == PMC_TRAIN || program == PMC_EVALUATE; }

static pmc_status record(const recording *r, pmc_program_kind program, void **graph) {
    const pmc_device *device = r->on->device;
    const pmc_op end = {.kind = PMC_OP_KINDS, .shape.field = {has_loss(program), r->args->batch}};
    TRY(device->record(r->on->queue));
    pmc_status status = launch_program(r, program);
    if (status == PMC_OK) status = launch(r, &end);
    const pmc_status closed = device->recorded(r->on->queue, graph);
    if (status == PMC_OK) return closed;
    if (closed == PMC_OK) device->forget(*graph);
    return status;
}

/* The recorded step for n samples; a new one if there is none. */
static pmc_status step_of(pmc_plan *plan, pmc_program_kind program, const pmc_run_args *a, int64_t n, void **graph) {
    pmc_on_device *on = plan->on_device;
    const recording r = {plan, on, a, n};
    recorded_step wanted = {
        .program = program, .n = n, .batch = a->batch, .optimizer = a->optimizer, .vectors = a->average != NULL};
    for (int i = 0; i < PMC_MOMENTS; i++) wanted.vectors = 2 * wanted.vectors + (a->moment[i] != NULL);
    for (int64_t i = 0; i < smaller(on->recorded, GRAPHS); i++) {
        const recorded_step *step = &on->steps[i];
        if (step->program == program && step->n == n && step->optimizer == a->optimizer &&
            step->vectors == wanted.vectors && step->batch == a->batch)
            return *graph = step->graph, PMC_OK;
    }
    TRY(record(&r, program, &wanted.graph));
    recorded_step *place = &on->steps[on->recorded % GRAPHS];
    if (on->recorded >= GRAPHS) on->device->forget(place->graph);
    *place = wanted;
    on->recorded++;
    return *graph = wanted.graph, PMC_OK;
}

/* ---- a run ---- */

/* Room on the device for one of the arrays; NULL where there is nothing on the processor. */
static pmc_status make_room(pmc_on_device *on, int which, const void *host, int64_t bytes, const void *out) {
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
static pmc_status bring(pmc_on_device *on, const pmc_run_args *a, int which, const void *host, int64_t bytes,
                        const void *out) {
    for (int64_t i = 0; host && i < a->residents; i++) {
        const pmc_resident *r = a->resident[i];
        const int64_t skip = (const char *)host - (const char *)r->host;
        if (r->device == on->device && skip >= 0 && skip <= r->bytes - bytes)
            return *(void **)out = (char *)r->memory + skip, PMC_OK;
    }
    TRY(make_room(on, which, host, bytes, out));
    return host ? on->device->upload(on->queue, *(void **)out, host, bytes) : PMC_OK;
}

static pmc_status bring_arrays(pmc_plan *plan, const pmc_run_args *a, pmc_board *board, int64_t steps, int with_loss) {
    const pmc_plan_sizes *s = &plan->sizes;
    const int64_t r = s->dtype == PMC_FLOAT64 ? 8 : 4, items = a->items;
    pmc_on_device *on = plan->on_device;
    TRY(bring(on, a, INDEX, a->index, a->count * 8, &board->index));
    if (a->x_u8) TRY(bring(on, a, X, a->x_u8, items * s->x_elements, &board->x_u8));
    else TRY(bring(on, a, X, a->x_real, items * s->x_elements * r, &board->x_real));
    TRY(bring(on, a, LABELS, a->labels, items * 4, &board->labels));
    TRY(bring(on, a, TARGETS, a->targets, items * s->y_elements * r, &board->targets));
    TRY(bring(on, a, SAMPLE_WEIGHT, a->sample_weight, items * 8, &board->sample_weight));
    TRY(bring(on, a, CLASS_WEIGHT, a->class_weight, s->y_elements * 8, &board->class_weight));
    TRY(bring(on, a, DY, a->dy, a->count * s->y_elements * r, &board->dy));
    TRY(bring(on, a, COEFFICIENTS, a->coefficients, steps * (int64_t)sizeof *a->coefficients, &board->coefficients));
    TRY(make_room(on, Y, a->y, a->count * s->y_elements * r, &board->y));
    TRY(make_room(on, DX, a->dx, a->count * s->x_elements * r, &board->dx));
    if (!with_loss) return PMC_OK;
    TRY(bring(on, a, WEIGHT, a->weight, steps * 8, &board->weight));
    TRY(make_room(on, LOSS, a->loss, steps * 8, &board->loss));
    return make_room(on, CORRECT, a->correct, steps * 8, &board->correct);
}

/* Both ways, of a vector of the model's: weights, gradients, moments, average. */
static pmc_status bring_vector(const pmc_plan *plan, char **to, const void *host) {
    const pmc_on_device *on = plan->on_device;
    if (!host) return PMC_OK;
    if (!*to) TRY(on->device->allocate((void **)to, plan->sizes.model_bytes));
    return on->device->upload(on->queue, *to, host, plan->sizes.model_bytes);
}
static pmc_status fetch(const pmc_on_device *on, void *host, const void *from, int64_t bytes) {
    return host ? on->device->download(on->queue, host, from, bytes) : PMC_OK;
}

static pmc_status fetch_all(const pmc_plan *plan, const pmc_run_args *a, pmc_board *board, int64_t steps, int trains,
                            int with_loss) {
    const pmc_on_device *on = plan->on_device;
    const pmc_plan_sizes *s = &plan->sizes;
    const int64_t r = s->dtype == PMC_FLOAT64 ? 8 : 4;
    if (with_loss) TRY(fetch(on, a->loss, board->loss, steps * 8));
    if (with_loss) TRY(fetch(on, a->correct, board->correct, steps * 8));
    TRY(fetch(on, a->y, board->y, a->count * s->y_elements * r));
    TRY(fetch(on, a->dx, board->dx, a->count * s->x_elements * r));
    TRY(fetch(on, board, on->board, sizeof *board));
    if (trains) {
        TRY(fetch(on, a->gradient, on->gradient, s->model_bytes));
        TRY(fetch(on, a->average, on->average, s->model_bytes));
        for (int i = 0; i < PMC_MOMENTS; i++) TRY(fetch(on, a->moment[i], on->moment[i], s->model_bytes));
        TRY(fetch(on, a->param, on->arena[PMC_PARAM], s->model_bytes));
    }
    return on->device->finish(on->queue);
}

static pmc_status run_steps(pmc_plan *plan, pmc_program_kind program, pmc_run_args *a) {
    pmc_on_device *on = plan->on_device;
    const recording one = {plan, on, a, 1};
    for (int64_t start = 0; start < a->count; start += a->batch) {
        void *graph;
        TRY(step_of(plan, program, a, smaller(a->batch, a->count - start), &graph));
        if (start == 0) TRY(launch_program(&one, PMC_PREPARE));
        TRY(on->device->replay(on->queue, graph));
    }
    return PMC_OK;
}

pmc_status pmc_run_on_device(pmc_plan *plan, pmc_program_kind program, pmc_run_args *a) {
    pmc_on_device *on = plan->on_device;
    const int64_t steps = (a->count + a->batch - 1) / a->batch;
    const int with_loss = has_loss(program), trains = program != PMC_EVALUATE && program != PMC_PREDICT;
    pmc_board board = {.seed = a->seed,
                       .epoch = a->epoch,
                       .first_position = a->first_position,
                       .bad_layer = INT64_MAX,
                       .bad_step = INT64_MAX};
    for (int64_t i = 0; with_loss && i < steps; i++)
        a->weight[i] = pmc_step_weight(a, i * a->batch, smaller(a->batch, a->count - i * a->batch));
    pmc_status status = bring_vector(plan, &on->arena[PMC_PARAM], a->param);
    if (status == PMC_OK && trains) status = bring_vector(plan, &on->gradient, a->gradient);
    if (status == PMC_OK && trains) status = bring_vector(plan, &on->average, a->average);
    for (int i = 0; status == PMC_OK && trains && i < PMC_MOMENTS; i++)
        status = bring_vector(plan, &on->moment[i], a->moment[i]);
    if (status == PMC_OK) status = bring_arrays(plan, a, &board, steps, with_loss);
    if (status == PMC_OK) status = on->device->upload(on->queue, on->board, &board, sizeof board);
    if (status == PMC_OK) status = run_steps(plan, program, a);
    if (status == PMC_OK) status = fetch_all(plan, a, &board, steps, trains, with_loss);
    if (status != PMC_OK) return on->device->finish(on->queue), status;
    a->done = smaller(board.bad_step, steps);
    a->bad_layer = board.bad_layer == INT64_MAX ? -1 : board.bad_layer;
    return a->bad_layer >= 0 ? PMC_NOT_FINITE : PMC_OK;
}
