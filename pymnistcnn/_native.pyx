# cython: language_level=3, boundscheck=True, wraparound=False
"""The bridge to csrc: checks sizes, releases the GIL, turns status codes into exceptions. Nothing else."""

import numpy as np

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memset, strcmp

cdef extern from *:
    """
    #ifndef PYMNISTCNN_VERSION
    #define PYMNISTCNN_VERSION "unknown"
    #endif
    """
    const char *PYMNISTCNN_VERSION

__version__ = PYMNISTCNN_VERSION.decode()


cdef extern from "pmc.h":
    cpdef enum Op "pmc_op_kind":
        INPUT "PMC_INPUT"
        OUTPUT "PMC_OUTPUT"
        FLATTEN_FORWARD "PMC_FLATTEN_FORWARD"
        FLATTEN_BACKWARD "PMC_FLATTEN_BACKWARD"
        CONV_FORWARD "PMC_CONV_FORWARD"
        CONV_WEIGHT_GRADIENT "PMC_CONV_WEIGHT_GRADIENT"
        CONV_INPUT_GRADIENT "PMC_CONV_INPUT_GRADIENT"
        POOL_FORWARD "PMC_POOL_FORWARD"
        POOL_BACKWARD "PMC_POOL_BACKWARD"
        AVERAGE_FORWARD "PMC_AVERAGE_FORWARD"
        AVERAGE_BACKWARD "PMC_AVERAGE_BACKWARD"
        LINEAR_FORWARD "PMC_LINEAR_FORWARD"
        LINEAR_WEIGHT_GRADIENT "PMC_LINEAR_WEIGHT_GRADIENT"
        LINEAR_INPUT_GRADIENT "PMC_LINEAR_INPUT_GRADIENT"
        LINEAR_SPARSE_FORWARD "PMC_LINEAR_SPARSE_FORWARD"
        ACTIVATION_FORWARD "PMC_ACTIVATION_FORWARD"
        ACTIVATION_BACKWARD "PMC_ACTIVATION_BACKWARD"
        DROPOUT "PMC_DROPOUT"
        NOISE "PMC_NOISE"
        WARP_FORWARD "PMC_WARP_FORWARD"
        WARP_BACKWARD "PMC_WARP_BACKWARD"
        NORM_MOMENTS "PMC_NORM_MOMENTS"
        NORM_APPLY "PMC_NORM_APPLY"
        NORM_GRADIENT_SUMS "PMC_NORM_GRADIENT_SUMS"
        NORM_INPUT_GRADIENT "PMC_NORM_INPUT_GRADIENT"
        SOFTMAX_FORWARD "PMC_SOFTMAX_FORWARD"
        SOFTMAX_BACKWARD "PMC_SOFTMAX_BACKWARD"
        LOG_SOFTMAX_FORWARD "PMC_LOG_SOFTMAX_FORWARD"
        LOG_SOFTMAX_BACKWARD "PMC_LOG_SOFTMAX_BACKWARD"
        CROSS_ENTROPY "PMC_CROSS_ENTROPY"
        LIKELIHOOD "PMC_LIKELIHOOD"
        EXPECTED_PROBABILITY "PMC_EXPECTED_PROBABILITY"
        SQUARED_ERROR "PMC_SQUARED_ERROR"
        LINEAR_TILE_FORWARD "PMC_LINEAR_TILE_FORWARD"
        LINEAR_TILE_WEIGHT_GRADIENT "PMC_LINEAR_TILE_WEIGHT_GRADIENT"
        LINEAR_TILE_INPUT_GRADIENT "PMC_LINEAR_TILE_INPUT_GRADIENT"
        NORM_STATISTICS "PMC_NORM_STATISTICS"
        NORM_GRADIENT "PMC_NORM_GRADIENT"
        UPDATE "PMC_UPDATE"
        GRADIENT_SQUARES "PMC_GRADIENT_SQUARES"
        NORM_FOLD "PMC_NORM_FOLD"
        CONV_PACK "PMC_CONV_PACK"

    cpdef enum Arena "pmc_arena":
        NOWHERE "PMC_NOWHERE"
        PARAM "PMC_PARAM"
        PACK "PMC_PACK"
        BATCH "PMC_BATCH"
        SHARD "PMC_SHARD"
        THREAD "PMC_THREAD"

    cpdef enum Program "pmc_program_kind":
        PREPARE "PMC_PREPARE"
        TRAIN "PMC_TRAIN"
        EVALUATE "PMC_EVALUATE"
        PREDICT "PMC_PREDICT"
        FORWARD "PMC_FORWARD"
        BACKWARD "PMC_BACKWARD"

    cpdef enum Port "pmc_port":
        PORT_X "PMC_PORT_X"
        PORT_Y "PMC_PORT_Y"
        PORT_DY "PMC_PORT_DY"
        PORT_DX "PMC_PORT_DX"

    enum:
        PMC_PAD
        PMC_ALIGN
        PMC_GUARD
        PMC_TILE_COLUMNS
        PMC_DEAD
        PMC_SCOPE_SHARD
        PMC_SCOPE_TILES
        PMC_IDENTITY
        PMC_RELU
        PMC_TANH
        PMC_LEAKY_RELU
        PMC_ELU
        PMC_SIGMOID
        PMC_SOFTPLUS
        PMC_NORM_SCALE
        PMC_NORM_SHIFT
        PMC_NORM_ROWS
        PMC_EVENTS
        PMC_SQUARES
        PMC_WINOGRAD_TILES
        PMC_WINOGRAD_COLUMNS
        PMC_GRADIENT_ONLY
        PMC_SGD
        PMC_ADAM
        PMC_RMSPROP
        PMC_ADAGRAD
        PMC_OP_KINDS


class Constant:
    """Constants of csrc/pmc.h, by the same names."""

    PAD = PMC_PAD
    ALIGN = PMC_ALIGN
    GUARD = PMC_GUARD
    TILE_COLUMNS = PMC_TILE_COLUMNS
    DEAD = PMC_DEAD
    SCOPE_SHARD = PMC_SCOPE_SHARD
    SCOPE_TILES = PMC_SCOPE_TILES
    IDENTITY = PMC_IDENTITY
    RELU = PMC_RELU
    TANH = PMC_TANH
    LEAKY_RELU = PMC_LEAKY_RELU
    ELU = PMC_ELU
    SIGMOID = PMC_SIGMOID
    SOFTPLUS = PMC_SOFTPLUS
    NORM_SCALE = PMC_NORM_SCALE
    NORM_SHIFT = PMC_NORM_SHIFT
    NORM_ROWS = PMC_NORM_ROWS
    EVENTS = PMC_EVENTS
    SQUARES = PMC_SQUARES
    WINOGRAD_TILES = PMC_WINOGRAD_TILES
    WINOGRAD_COLUMNS = PMC_WINOGRAD_COLUMNS
    GRADIENT_ONLY = PMC_GRADIENT_ONLY
    SGD = PMC_SGD
    ADAM = PMC_ADAM
    RMSPROP = PMC_RMSPROP
    ADAGRAD = PMC_ADAGRAD
    MOMENTS = PMC_MOMENTS
    REFS = PMC_REFS
    FIELDS = PMC_FIELDS
    OP_KINDS = PMC_OP_KINDS


OP_WORDS = sizeof(pmc_op) // 8
COEFFICIENTS = sizeof(pmc_coefficients) // 8


class NotFinite(FloatingPointError):
    """An update made a parameter NaN or infinite. `layer`: its index; `done`: the steps before it."""

    def __init__(self, layer, done):
        super().__init__(f"a parameter of layer {layer} became NaN or infinite")
        self.layer, self.done = layer, done


cdef dict USABLE = {pmc_isa_name(i).decode(): i for i in range(PMC_ISAS) if pmc_isa_usable(i)}


def isas():
    """Names of the instruction sets that this build has and this machine can run, slowest first."""
    return list(USABLE)


def all_isas():
    """Names of all instruction sets there are kernels for."""
    return [pmc_isa_name(i).decode() for i in range(PMC_ISAS)]


def default_threads():
    """What OpenMP would use: the processors this process may run on, or OMP_NUM_THREADS."""
    return pmc_default_threads()


def openmp_runtime():
    return pmc_openmp_runtime().decode()


cdef const pmc_kernels *kernels_named(str isa, int dtype) except NULL:
    found = USABLE.get(isa)
    if found is None:
        raise ValueError(f"isa must be one of {', '.join(isas())} on this machine, not {isa!r}")
    return pmc_kernels_for(found, dtype)


cdef tuple DEVICES = tuple(name for name in ("emulated", "emulated-tf32", "emulated-bf16", "cuda", "cuda-tf32", "cuda-bf16")
                           if pmc_device_named(name.encode()) != NULL)


def devices():
    """Names of the devices, other than the processor, that this build has: here, or emulated; those of a lower
    precision by names of their own."""
    return list(DEVICES)


cdef const pmc_device *device_named(str name) except NULL:
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)} in this build, not {name!r}")
    return pmc_device_named(name.encode())


def device_problem(str name):
    """Why a device cannot be used on this machine; None: it can."""
    problem = pmc_device_problem(device_named(name))
    return None if problem == NULL else problem.decode()


def device_twin(str name, int dtype, int kind):
    """The name of the kernel that a device has for an op kind, or None."""
    twin = pmc_device_twin(device_named(name), dtype, kind)
    return None if twin == NULL else twin.decode()


def cuda_build():
    """(architectures this build has code for, what the machine has): two texts; None: this build is without CUDA."""
    cdef char text[512]
    if pmc_cuda_architectures() == NULL:
        return None
    pmc_cuda_describe(text, sizeof(text))
    return pmc_cuda_architectures().decode(), text.decode(errors="replace")


cdef failed(const pmc_device *device, pmc_status status):
    """Raise what a device's status says."""
    text = pmc_device_error(device).decode(errors="replace")
    raise MemoryError(text) if status == PMC_DEVICE_MEMORY else RuntimeError(text)


cdef class Resident:
    """A copy of an array on a device, which runs are given so that they need not bring it; it is not to change."""

    cdef pmc_resident resident
    cdef object array

    def __cinit__(self, str device, array):
        cdef const pmc_device *found = device_named(device)
        cdef bytes kind = array.dtype.char.encode()
        cdef void *host = address(array, "array", kind, array.size)
        self.array = array  # it stays where it is as long as its copy
        status = pmc_resident_new(&self.resident, found, host, array.nbytes)
        if status != PMC_OK:
            failed(found, status)

    def __dealloc__(self):
        pmc_resident_free(&self.resident)


def fma_peak(str isa, int64_t repeats, int dtype=0):
    """Run `repeats` rounds of independent FMAs on this thread; returns the floating-point operations done."""
    sink = np.full(16 * 16, 0.5, np.float64)
    cdef double[::1] view = sink
    cdef const pmc_kernels *kernels = kernels_named(isa, dtype)
    cdef double operations
    cdef void *pointer = &view[0]
    with nogil:
        operations = kernels.fma_peak(pointer, repeats)
    return operations


def philox(counter, key):
    """Philox4x32-10: four uint32 from a counter of four and a key of two."""
    cdef uint32_t[::1] c = np.ascontiguousarray(counter, np.uint32).reshape(4)
    cdef uint32_t[::1] k = np.ascontiguousarray(key, np.uint32).reshape(2)
    out = np.empty(4, np.uint32)
    cdef uint32_t[::1] o = out
    pmc_philox(&o[0], &c[0], &k[0])
    return out


cdef bytes FLOAT32 = b"f", FLOAT64 = b"d", INT32 = b"i", INT64 = b"l", UINT8 = b"B"  # as buffers have it


cdef void *address(array, str name, bytes kind, int64_t elements, bint writable=False) except? NULL:
    """Where a C-contiguous array of `elements` of `kind` begins; NULL for None. The caller keeps the array."""
    cdef Py_buffer view
    if array is None:
        return NULL
    try:
        PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS)
    except (BufferError, ValueError):
        raise ValueError(f"{name} must be a contiguous array, as the processor has numbers") from None
    try:
        if strcmp(view.format, kind) or view.len != elements * view.itemsize:
            raise ValueError(f"{name} must be a contiguous array of {elements} of {np.dtype(kind.decode()).name}, "
                             f"not {view.len // view.itemsize} of {array.dtype.name}")
        if writable and view.readonly:
            raise ValueError(f"{name} must be writable")
        return view.buf
    finally:
        PyBuffer_Release(&view)


cdef class Plan:
    """A checked copy of a plan in C, with its workspaces. Not safe for two runs at once: the model locks.

    sizes: the fields of pmc_plan_sizes by name, without `ops` and `phases`; ops (n, OP_WORDS), phases (n, 3)
    and programs (6, 2) are int64 arrays laid out as the structs of csrc/pmc.h; device: one of `devices()`, or None
    for the processor.
    """

    cdef pmc_plan *plan
    cdef pmc_plan_sizes sizes
    cdef object kinds
    cdef const pmc_device *device

    def __cinit__(self, dict sizes, ops, phases, programs, str device=None):
        cdef int64_t bad_op = -1
        ops, phases, programs = (np.ascontiguousarray(a, np.int64) for a in (ops, phases, programs))
        if ops.ndim != 2 or ops.shape[1] != OP_WORDS or phases.ndim != 2 or phases.shape[1] != 3:
            raise ValueError(f"a plan needs ops (n, {OP_WORDS}) and phases (n, 3), "
                             f"not {ops.shape} and {phases.shape}")
        if programs.shape != (PMC_PROGRAMS, 2):
            raise ValueError(f"a plan needs programs ({PMC_PROGRAMS}, 2), not {programs.shape}")
        memset(&self.sizes, 0, sizeof(self.sizes))
        self.sizes = dict(sizes, ops=len(ops), phases=len(phases))
        if device is not None:
            self.device = device_named(device)
            if self.sizes.dtype and pmc_device_rounds(self.device):
                raise ValueError("precision tf32 and bf16 are of networks of float32, not float64")
        status = pmc_plan_new(&self.plan, &self.sizes,
                              <const pmc_op *> address(ops, "ops", INT64, ops.size),
                              <const pmc_phase *> address(phases, "phases", INT64, phases.size),
                              <const pmc_program *> address(programs, "programs", INT64, programs.size),
                              self.device, &bad_op)
        self.kinds = ops[:, :2].copy()
        where = "" if bad_op < 0 else f" (op {bad_op}: {Op(ops[bad_op, 0]).name}, layer {ops[bad_op, 1]})"
        if status == PMC_NO_MEMORY:
            raise MemoryError("not enough memory for the workspaces of this network and batch size")
        if status == PMC_DEVICE_MEMORY or status == PMC_DEVICE_FAILED:
            failed(self.device, status)
        if status == PMC_BAD_BOUNDS:
            raise ValueError(f"a plan's reference reaches outside its arena{where}")
        if status != PMC_OK:
            raise ValueError(f"the network or batch is too large, or its sizes do not fit together{where}")

    def __dealloc__(self):
        pmc_plan_free(self.plan)

    @property
    def capacity(self):
        return self.sizes.capacity

    @property
    def op_kinds(self):
        """(Op, layer) of every op, in the order of `op_seconds`."""
        return [(int(kind), int(layer)) for kind, layer in self.kinds]

    @property
    def workspace_bytes(self):
        """Bytes of the arenas by name: one of pack and batch, one a shard, one a thread."""
        return {"pack": self.sizes.pack_bytes, "batch": self.sizes.batch_bytes,
                "shard": self.sizes.shard_bytes, "thread": self.sizes.thread_bytes}

    def poison(self, int byte):
        """Fill all workspaces with one byte: no result may depend on what was there."""
        status = pmc_plan_poison(self.plan, byte)
        if status != PMC_OK:
            failed(self.device, status)

    def peek(self, int64_t offset, int64_t count):
        """A copy of `count` bytes of the BATCH arena, from `offset` on."""
        if offset < 0 or count < 0 or offset > self.sizes.batch_bytes - count:
            raise ValueError(f"{count} bytes at {offset} are not in the {self.sizes.batch_bytes} of the batch")
        cdef bytearray copy = bytearray(count)
        status = pmc_plan_peek(self.plan, <char *> copy, offset, count)
        if status != PMC_OK:
            failed(self.device, status)
        return bytes(copy)

    def run(self, int program, *, str isa, int64_t threads, param, gradient, moments=(), average=None,
            int64_t count, int64_t batch, x=None, index=None, labels=None, targets=None, sample_weight=None,
            class_weight=None, y=None, dy=None, dx=None, int64_t optimizer=0, coefficients=None, uint64_t seed=0,
            uint32_t epoch=0, uint32_t first_position=0, op_seconds=None, residents=()):
        """Run a program over `count` samples, `batch` a step; returns each step's summed loss, correct, and the
        weight that a mean loss is divided by, or None where nothing is compared. op_seconds (threads, ops): what each op took is added to it, on the
        processor. residents: of arrays that a device has a copy of."""
        cdef bytes real = FLOAT64 if self.sizes.dtype else FLOAT32
        cdef int64_t steps, i, items, model = self.sizes.model_bytes // (8 if self.sizes.dtype else 4)
        if count < 1 or not 1 <= batch <= self.sizes.capacity or threads < 1:
            raise ValueError(f"count and threads must be at least 1 and batch 1 to {self.sizes.capacity}, "
                             f"not {count}, {threads} and {batch}")
        steps = (count + batch - 1) // batch
        items = count
        if x is not None:
            items = len(x)
        if index is None:
            if items < count:
                raise ValueError(f"{count} samples need as many inputs, not {items}")
        elif len(index) != count or index.min() < 0 or index.max() >= items:
            raise ValueError(f"index must name {count} of {items} samples")
        if optimizer and (coefficients is None or len(coefficients) != steps):
            raise ValueError(f"{steps} steps need as many rows of coefficients")
        if len(moments) > PMC_MOMENTS:
            raise ValueError(f"an optimizer has at most {PMC_MOMENTS} moments, not {len(moments)}")
        loss = weight = correct = None
        if labels is not None or targets is not None:
            loss, weight, correct = np.zeros(steps), np.zeros(steps), np.zeros(steps, np.int64)

        cdef pmc_run_args a
        cdef const pmc_resident *resident[16]
        memset(&a, 0, sizeof(a))
        if self.device == NULL:
            a.kernels = kernels_named(isa, self.sizes.dtype)
        if len(residents) > 16:
            raise ValueError(f"a run takes at most 16 residents, not {len(residents)}")
        for i, one in enumerate(residents):
            resident[i] = &(<Resident?> one).resident
        a.resident, a.residents = resident, len(residents)
        a.threads, a.count, a.batch, a.optimizer, a.items = threads, count, batch, optimizer, items
        a.seed, a.epoch, a.first_position = seed, epoch, first_position
        a.param = address(param, "param", real, model, True)
        a.gradient = address(gradient, "gradient", real, model, True)
        for i, moment in enumerate(moments):
            a.moment[i] = address(moment, "moments", real, model, True)
        a.average = address(average, "average", real, model, True)
        a.index = <const int64_t *> address(index, "index", INT64, count)
        if x is not None and x.dtype.char == "B":
            a.x_u8 = <const uint8_t *> address(x, "x", UINT8, items * self.sizes.x_elements)
        else:
            a.x_real = address(x, "x", real, items * self.sizes.x_elements)
        a.labels = <const int32_t *> address(labels, "labels", INT32, items)
        a.targets = address(targets, "targets", real, items * self.sizes.y_elements)
        a.sample_weight = <const double *> address(sample_weight, "sample_weight", FLOAT64, items)
        a.class_weight = <const double *> address(class_weight, "class_weight", FLOAT64, self.sizes.y_elements)
        a.y = address(y, "y", real, count * self.sizes.y_elements, True)
        a.dy = address(dy, "dy", real, count * self.sizes.y_elements)
        a.dx = address(dx, "dx", real, count * self.sizes.x_elements, True)
        a.coefficients = <const pmc_coefficients *> address(coefficients, "coefficients", FLOAT64,
                                                            steps * COEFFICIENTS)
        a.loss = <double *> address(loss, "loss", FLOAT64, steps)
        a.op_seconds = <double *> address(op_seconds, "op_seconds", FLOAT64, threads * self.sizes.ops, True)
        a.weight = <double *> address(weight, "weight", FLOAT64, steps)
        a.correct = <int64_t *> address(correct, "correct", INT64, steps)
        cdef pmc_status status
        with nogil:
            status = pmc_run(self.plan, program, &a)
        if status == PMC_DEVICE_MEMORY or status == PMC_DEVICE_FAILED:
            failed(self.device, status)
        if status == PMC_NOT_FINITE:
            raise NotFinite(a.bad_layer, a.done)
        if status == PMC_MISSING:
            arrays = dict(x=x, labels=labels, y=y, dy=dy, dx=dx, coefficients=coefficients)
            arrays |= {f"moments[{i}]": moments[i] if i < len(moments) else None for i in range(PMC_MOMENTS)}
            absent = ", ".join(name for name, array in arrays.items() if array is None)
            raise ValueError(f"{Program(program).name} needs an array that it was not given: one of {absent}")
        if status == PMC_NO_MEMORY:
            raise MemoryError(f"not enough memory for the workspaces of {threads} threads")
        if status != PMC_OK:
            raise ValueError("the run does not fit its plan")
        return loss, correct, weight
