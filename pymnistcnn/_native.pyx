# cython: language_level=3, boundscheck=True, wraparound=False, freethreading_compatible=True
"""The binding to csrc: checks sizes, releases the GIL, turns status codes into exceptions. Nothing else."""

from collections import namedtuple
from enum import IntEnum
from os import register_at_fork
from threading import main_thread

import numpy as np

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release
from cpython.exc cimport PyErr_CheckSignals, PyErr_Clear
from libc.string cimport memset, strcmp
from posix.unistd cimport pread

cdef extern from *:
    """
    #ifndef PYMNISTCNN_VERSION
    #define PYMNISTCNN_VERSION "unknown"
    #endif
    """
    const char *PYMNISTCNN_VERSION

__version__ = PYMNISTCNN_VERSION.decode()


# ---- names: of everything that csrc lists, built from its lists ----

cdef extern from *:
    """
    #define STRING(NAME, ...) #NAME,
    static const char *const OP_NAMES[] = {PMC_OPERATIONS(STRING) NULL};
    static const char *const ARENA_NAMES[] = {PMC_ARENA_KINDS(STRING) NULL};
    static const char *const PROGRAM_NAMES[] = {PMC_PROGRAM_KINDS(STRING) NULL};
    static const char *const OPTIMIZER_NAMES[] = {"GRADIENT_ONLY", PMC_OPTIMIZER_KINDS(STRING) NULL};
    static const char *const ACTIVATION_NAMES[] = {PMC_ACTIVATION_KINDS(STRING) NULL};
    #define BITS(NAME, monotone, from_y) monotone + 2 * from_y,
    static const int ACTIVATION_BITS[] = {PMC_ACTIVATION_KINDS(BITS)};
    """
    const char *const *OP_NAMES
    const char *const *ARENA_NAMES
    const char *const *PROGRAM_NAMES
    const char *const *OPTIMIZER_NAMES
    const char *const *ACTIVATION_NAMES
    const int *ACTIVATION_BITS

cdef extern from "pmc.h":
    enum:
        PMC_PAD
        PMC_ALIGN
        PMC_GUARD
        PMC_LARGEST
        PMC_NO_GRADIENT
        PMC_SCOPE_TILES
        PMC_EACH_SAMPLE
        PMC_WRITTEN
        PMC_SCRATCH
        PMC_PORT_X
        PMC_PORT_Y
        PMC_PORT_DY
        PMC_PORT_DX
        PMC_NORM_SCALE
        PMC_NORM_SHIFT
        PMC_NORM_ROWS


cdef enum_of(str name, const char *const *members):
    found = []
    while members[len(found)] != NULL:
        found.append(members[len(found)].decode())
    return IntEnum(name, found, start=0, module=__name__)


Op = enum_of("Op", OP_NAMES)
Arena = enum_of("Arena", ARENA_NAMES)
Program = enum_of("Program", PROGRAM_NAMES)
OptimizerKind = enum_of("OptimizerKind", OPTIMIZER_NAMES)
ActivationKind = enum_of("ActivationKind", ACTIVATION_NAMES)
MONOTONE = frozenset(kind for kind in ActivationKind if ACTIVATION_BITS[kind] & 1)
FROM_Y = frozenset(kind for kind in ActivationKind if ACTIVATION_BITS[kind] & 2)


class Constant:
    """Constants of csrc, by the same names."""

    PAD = PMC_PAD
    ALIGN = PMC_ALIGN
    GUARD = PMC_GUARD
    LARGEST = PMC_LARGEST
    NO_GRADIENT = PMC_NO_GRADIENT
    PORT_X = PMC_PORT_X
    PORT_Y = PMC_PORT_Y
    PORT_DY = PMC_PORT_DY
    PORT_DX = PMC_PORT_DX
    NORM_SCALE = PMC_NORM_SCALE
    NORM_SHIFT = PMC_NORM_SHIFT
    NORM_ROWS = PMC_NORM_ROWS
    MOMENTS = PMC_MOMENTS
    REFS = PMC_REFS
    FIELDS = PMC_FIELDS


Reference = namedtuple("Reference", "name each_sample written scratch")
Operation = namedtuple("Operation", "tiles references")  # tiles: is it of TILES scope?


cdef object operation_at(int kind):
    cdef const pmc_operation *record = pmc_operations[kind]
    return Operation(record.scope == PMC_SCOPE_TILES, tuple(
        Reference(record.ref[i].name.decode(), bool(record.ref[i].flags & PMC_EACH_SAMPLE),
                  bool(record.ref[i].flags & PMC_WRITTEN), bool(record.ref[i].flags & PMC_SCRATCH))
        for i in range(PMC_REFS) if record.ref[i].name != NULL
    ))


OPERATIONS = tuple(operation_at(kind) for kind in Op)  # the record of each Op

OP_WORDS = sizeof(pmc_op) // 8
COEFFICIENTS = sizeof(pmc_coefficients) // 8


class NotFinite(FloatingPointError):
    """An update made a parameter NaN or infinite. `layer`: its index; `done`: the steps before it."""

    def __init__(self, layer, done):
        super().__init__(f"a parameter of layer {layer} became NaN or infinite")
        self.layer, self.done = layer, done


# ---- targets ----


class Target(namedtuple("Target", "device isa precision")):
    """Where a plan runs and how: a device ("cpu", "cuda", "emulated"), its instruction set ("avx512"; "" where there
    is but one), the precision of products ("full", "tf32", "bf16"; of the processor "full" and "bf16")."""

    def __str__(self):
        return (self.isa or self.device) + f"-{self.precision}" * (self.precision != "full")


cdef object target_at(int64_t i):
    cdef const pmc_target *target = pmc_target_at(i)
    return Target(pmc_target_device(target).decode(), pmc_target_isa(target).decode(),
                  pmc_target_precision(target).decode())


TARGETS = tuple(target_at(i) for i in range(pmc_target_count()))  # that this build has code for, slowest first


def target_problem(target):
    """Why a target cannot be used on this machine; None: it can."""
    if target not in TARGETS:
        return f"this build has code for {', '.join(map(str, TARGETS))} only"
    problem = pmc_target_problem(pmc_target_at(TARGETS.index(target)))
    return None if problem == NULL else problem.decode()


def target_pairs(target):
    """Do its kernels pack factors of products to bfloat16, two in a word? Otherwise a plan rounds them."""
    return bool(pmc_target_pairs(pmc_target_at(TARGETS.index(target))))


def target_slow(target):
    """Is it there to be asked for, as others of its precision are as fast on this machine?"""
    return bool(pmc_target_slow(pmc_target_at(TARGETS.index(target))))


cdef const pmc_target *pointer_to(target) except NULL:
    problem = target_problem(target)
    if problem is not None:
        raise ValueError(f"{target} cannot be used: {problem}")
    return pmc_target_at(TARGETS.index(target))


def default_threads():
    """What OpenMP would use: the processors this process may run on, or OMP_NUM_THREADS."""
    return pmc_default_threads()


def usable_threads(int64_t threads):
    """So many, or fewer where the system refuses to make them."""
    return pmc_usable_threads(threads)


def openmp_runtime():
    return pmc_openmp_runtime().decode()


def cuda_build():
    """(architectures this build has code for, what the machine has): two texts; None: this build is without CUDA."""
    cdef char text[512]
    if pmc_cuda_architectures() == NULL:
        return None
    pmc_cuda_describe(text, sizeof(text))
    return pmc_cuda_architectures().decode(), text.decode(errors="replace")


cdef failed(const pmc_target *target, pmc_status status):
    """Raise what a device's status says."""
    text = pmc_target_error(target).decode(errors="replace")
    raise MemoryError(text) if status == PMC_DEVICE_MEMORY else RuntimeError(text)


cdef class Resident:
    """A copy of an array on a device, which runs are given so that they need not bring it; it is not to change."""

    cdef pmc_resident resident
    cdef object array

    def __cinit__(self, target, array):
        cdef const pmc_target *found = pointer_to(target)
        cdef bytes kind = array.dtype.char.encode()
        cdef void *host = address(array, "array", kind, array.size)
        self.array = array  # it stays where it is as long as its copy
        status = pmc_resident_new(&self.resident, found, host, array.nbytes)
        if status != PMC_OK:
            failed(found, status)

    def __dealloc__(self):
        pmc_resident_free(&self.resident)


def fma_peak(target, int64_t repeats, int dtype=0):
    """Run `repeats` rounds of independent FMAs on this thread; returns the floating-point operations done."""
    sink = np.full(16 * 16, 0.5, np.float64)
    cdef double[::1] view = sink
    cdef const pmc_target *found = pointer_to(target)
    cdef double operations
    cdef void *pointer = &view[0]
    with nogil:
        operations = pmc_fma_peak(found, dtype, pointer, repeats)
    return operations


cdef pmc_linear linear_of(int64_t inputs, int64_t outputs, int64_t n) except *:
    cdef pmc_linear shape
    if not (0 < inputs <= 1 << 20 and 0 < outputs <= 1 << 20 and 0 < n <= 1 << 20):
        raise ValueError(f"inputs, outputs and samples must be from 1 to {1 << 20}, not {inputs}, {outputs} and {n}")
    shape.inputs, shape.out, shape.sparse = inputs, outputs, 0
    return shape


def products_elements(int64_t inputs, int64_t outputs, int64_t n):
    """Elements of float32 that `products` works in."""
    cdef pmc_linear shape = linear_of(inputs, outputs, n)
    return pmc_products_elements(&shape, n)


def products(target, int64_t inputs, int64_t outputs, int64_t n, bint packs, room, int64_t repeats):
    """Multiply n samples by a large linear layer's weights, `repeats` times, on this thread; with whatever is in `room`,
    float32 (products_elements,), which then begins with the outputs; packs: samples are packed each time. Returns the
    floating-point operations done."""
    cdef pmc_linear shape = linear_of(inputs, outputs, n)
    cdef void *memory = address(room, "room", b"f", pmc_products_elements(&shape, n), True)
    cdef const pmc_target *found = pointer_to(target)
    cdef double operations
    with nogil:
        operations = pmc_products(found, &shape, n, packs, repeats, memory)
    return operations


def padded(int64_t n):
    """n rounded up to a multiple of PAD elements."""
    return pmc_padded(n)


def read_rows(int file, int64_t start, rows, places, out):
    """out[places[i]] <- the row rows[i] (int64, from 0 on) of a file, which all begin at `start`; out: uint8 (., size).
    Returns how many rows the file did not have, or that could not be read."""
    cdef int64_t n = len(rows), room = len(out), size = out.shape[1], i, failed = 0, done, more
    cdef const int64_t *from_row = <const int64_t *> address(rows, "rows", INT64, n)
    cdef const int64_t *to_row = <const int64_t *> address(places, "places", INT64, n)
    cdef char *begin = <char *> address(out, "out", UINT8, room * size, True)
    if n and (rows.min() < 0 or places.min() < 0 or places.max() >= room):
        raise ValueError(f"rows and places must be from 0 on, and places below {room}")
    with nogil:
        for i in range(n):
            done = pread(file, begin + to_row[i] * size, size, start + from_row[i] * size)
            while 0 < done < size:
                more = pread(file, begin + to_row[i] * size + done, size - done, start + from_row[i] * size + done)
                done = done + more if more > 0 else -1
            failed += done != size
    return failed


def samples_of(int64_t rank, int64_t ranks, int64_t n):
    """Of a step of n samples, the first that a rank computes, and the one behind the last."""
    cdef int64_t shards = pmc_shards(n)
    return (pmc_shard_begin(pmc_first_shard(rank, ranks, shards), shards, n),
            pmc_shard_begin(pmc_first_shard(rank + 1, ranks, shards), shards, n))


def words_of(samples, uint32_t stream, uint32_t epoch, uint64_t seed):
    """Four random words, uint32 (n, 4), for each of samples, uint32 (n,): a function of these numbers."""
    out = np.empty((len(samples), 4), np.uint32)
    cdef const uint32_t[::1] given = samples
    cdef uint32_t[:, ::1] words = out
    cdef uint32_t counter[4]
    cdef uint32_t[2] key = [<uint32_t> seed, <uint32_t> (seed >> 32)]
    cdef Py_ssize_t i
    for i in range(len(given)):
        counter[0], counter[1], counter[2], counter[3] = 0, given[i], stream, epoch
        pmc_philox(&words[i, 0], counter, key)
    return out


def philox(counter, key):
    """Philox4x32-10: four uint32 from a counter of four and a key of two."""
    cdef uint32_t[::1] c = np.ascontiguousarray(counter, np.uint32).reshape(4)
    cdef uint32_t[::1] k = np.ascontiguousarray(key, np.uint32).reshape(2)
    out = np.empty(4, np.uint32)
    cdef uint32_t[::1] o = out
    pmc_philox(&o[0], &c[0], &k[0])
    return out


cdef bytes FLOAT32 = b"f", FLOAT64 = b"d", INT32 = b"i", INT64 = b"l", UINT8 = b"B"  # as buffers have it


cdef extern from "Python.h":
    object memory_view "PyMemoryView_FromMemory"(char *begin, Py_ssize_t size, int flags)
    int PyBUF_WRITE
    int get_buffer "PyObject_GetBuffer"(object array, Py_buffer *view, int flags)  # -1: an exception is set
    unsigned long thread_ident "PyThread_get_thread_ident"() noexcept nogil


cdef void *address(array, str name, bytes kind, int64_t elements, bint writable=False) except? NULL:
    """Where a C-contiguous array of `elements` of `kind` begins; NULL for None. The caller keeps the array."""
    cdef Py_buffer view
    if array is None:
        return NULL
    if get_buffer(array, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS):
        PyErr_Clear()
        raise ValueError(f"{name} must be a contiguous array, as the processor has numbers")
    cdef void *begin = view.buf
    cdef int64_t given = view.len // view.itemsize if view.itemsize else 0
    cdef bint fits = strcmp(view.format, kind) == 0 and given == elements, readonly = view.readonly
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"{name} must be a contiguous array of {elements} of {np.dtype(kind.decode()).name}, "
                         f"not {given} of {array.dtype.name}")
    if writable and readonly:
        raise ValueError(f"{name} must be writable")
    return begin


cdef pmc_plan_sizes sizes_of(dict given):
    """The fields of pmc_plan_sizes by name; what is left out is 0."""
    cdef pmc_plan_sizes sizes
    memset(&sizes, 0, sizeof(sizes))
    filled = dict(sizes, **given)
    sizes = filled
    return sizes


def extents(ops, dict sizes):
    """What the references of ops (n, OP_WORDS) hold: (n, REFS, 2) int64, bytes of each sample and of all there is.
    ValueError for an op whose shape is not sound, or too large."""
    ops = np.ascontiguousarray(ops, np.int64)
    if ops.ndim != 2 or ops.shape[1] != OP_WORDS:
        raise ValueError(f"ops must have shape (n, {OP_WORDS}), not {ops.shape}")
    cdef pmc_plan_sizes given = sizes_of(sizes)
    found = np.zeros((len(ops), PMC_REFS, 2), np.int64)
    cdef int64_t[:, ::1] rows = ops
    cdef int64_t[:, :, ::1] out = found
    cdef Py_ssize_t i
    for i in range(len(ops)):
        if pmc_op_extents(<pmc_extent *> &out[i, 0, 0], <const pmc_op *> &rows[i, 0], &given) != PMC_OK:
            raise ValueError(TOO_LARGE + named_op(ops, i))
    return found


TOO_LARGE = "the network or batch is too large, or its sizes do not fit together"


def named_op(ops, i):
    return "" if i < 0 else f" (op {i}: {Op(ops[i, 0]).name}, layer {ops[i, 1]})"


class _Caught(list):
    """What was raised in a run, and the ranks that do it together, or None."""

    def __init__(self, ranks=None):
        self.ranks = ranks


cdef object scattered(const pmc_scattered *arrays, Py_ssize_t ranks):
    """An array of which each rank has a part: its memory, the bytes of a unit, and the units between ranks."""
    bounds = [arrays.bounds[i] for i in range(ranks + 1)]
    return memory_view(arrays.array, arrays.unit * arrays.bounds[ranks], PyBUF_WRITE), arrays.unit, bounds


cdef int share(void *caught, const pmc_scattered *arrays, int64_t count) noexcept with gil:
    """Let all ranks have arrays of which each has a part; 1, and what was raised kept, if that fails."""
    cdef int64_t i
    try:
        ranks = (<object> caught).ranks
        ranks.share([scattered(&arrays[i], ranks.size) for i in range(count)])
    except BaseException as error:
        (<list> caught).append(error)
        return 1
    return 0


cdef int exchange(void *caught, const pmc_scattered *rows, const int64_t *columns,
                  int64_t column_bytes) noexcept with gil:
    """Let each rank have its columns of rows of which each has some."""
    cdef int64_t i
    try:
        ranks = (<object> caught).ranks
        ranks.exchange(*scattered(rows, ranks.size), [column_bytes * columns[i] for i in range(ranks.size + 1)])
    except BaseException as error:
        (<list> caught).append(error)
        return 1
    return 0


cdef unsigned long main_ident  # of the only thread in which handlers of signals run


def _know_main_thread():
    global main_ident
    main_ident = main_thread().ident


_know_main_thread()
register_at_fork(after_in_child=_know_main_thread)


cdef int handle_signals(void *caught) noexcept with gil:
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<list> caught).append(error)
        return 1
    return 0


cdef int interrupted(void *caught) noexcept nogil:
    """Let the handlers of signals run; 1, and what was raised kept, if one of them raised. Other threads have none to run,
    and do not wait for Python's lock: so this function is without Python's objects, for which Cython would take it."""
    return thread_ident() == main_ident and handle_signals(caught)


cdef class Plan:
    """A checked copy of a plan in C, with its workspaces. Not safe for two runs at once: the model locks.

    sizes: the fields of pmc_plan_sizes by name, without `ops` and `phases`; ops (n, OP_WORDS), phases (n, 3)
    and programs (6, 2) are int64 arrays laid out as the structs of csrc/pmc.h; target: one of TARGETS.
    """

    cdef pmc_plan *plan
    cdef pmc_plan_sizes sizes
    cdef object kinds
    cdef const pmc_target *target
    cdef bint prepared  # by `predict`: PACK has what follows from its weights

    def __init__(self, dict sizes, ops, phases, programs, target):
        cdef int64_t bad_op = -1
        ops, phases, programs = (np.ascontiguousarray(a, np.int64) for a in (ops, phases, programs))
        if ops.ndim != 2 or ops.shape[1] != OP_WORDS or phases.ndim != 2 or phases.shape[1] != 3:
            raise ValueError(f"a plan needs ops (n, {OP_WORDS}) and phases (n, 3), "
                             f"not {ops.shape} and {phases.shape}")
        if programs.shape != (PMC_PROGRAMS, 2):
            raise ValueError(f"a plan needs programs ({PMC_PROGRAMS}, 2), not {programs.shape}")
        self.sizes = sizes_of(dict(sizes, ops=len(ops), phases=len(phases)))
        self.target = pointer_to(target)
        if self.sizes.dtype and target.precision != "full":
            raise ValueError(f"precision {target.precision} is of networks of float32, not float64")
        status = pmc_plan_new(&self.plan, &self.sizes,
                              <const pmc_op *> address(ops, "ops", INT64, ops.size),
                              <const pmc_phase *> address(phases, "phases", INT64, phases.size),
                              <const pmc_program *> address(programs, "programs", INT64, programs.size),
                              self.target, &bad_op)
        self.kinds = ops[:, :2].copy()
        self.made(status)
        if status == PMC_BAD_BOUNDS:
            raise ValueError(f"a plan's reference reaches outside its arena{named_op(ops, bad_op)}")
        if status != PMC_OK:
            raise ValueError(TOO_LARGE + named_op(ops, bad_op))

    cdef made(self, pmc_status status):
        """MemoryError or RuntimeError where there was no room for a plan."""
        if status == PMC_NO_MEMORY:
            raise MemoryError("not enough memory for the workspaces of this network and batch size")
        if status == PMC_DEVICE_MEMORY or status == PMC_DEVICE_FAILED:
            failed(self.target, status)

    def copy(self):
        """The same plan with workspaces of its own, for another thread."""
        cdef Plan other = Plan.__new__(Plan)
        other.sizes, other.kinds, other.target = self.sizes, self.kinds, self.target
        self.made(pmc_plan_copy(&other.plan, self.plan))
        return other

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
        status = pmc_plan_fill(self.plan, byte)
        if status != PMC_OK:
            failed(self.target, status)
        self.prepared = False

    def peek(self, int64_t offset, int64_t count):
        """A copy of `count` bytes of the BATCH arena, from `offset` on."""
        if offset < 0 or count < 0 or offset > self.sizes.batch_bytes - count:
            raise ValueError(f"{count} bytes at {offset} are not in the {self.sizes.batch_bytes} of the batch")
        cdef bytearray copy = bytearray(count)
        status = pmc_plan_peek(self.plan, <char *> copy, offset, count)
        if status != PMC_OK:
            failed(self.target, status)
        return bytes(copy)

    def run(self, int program, int64_t threads, param, gradient, int64_t count, int64_t batch, x=None, y=None,
            uint64_t seed=0, **others):
        """Run a program over `count` samples, `batch` a step; returns each step's summed loss, correct, and the
        weight that a mean loss is divided by, or None where nothing is compared. op_seconds (threads, ops): what each
        op took is added to it, on the processor. residents: of arrays that a device has a copy of. What a prediction
        does not need is in `others`: with Python's stable ABI each name that could be given costs time.

        Handlers of signals are called in between. What one raises, as that of Ctrl-C does, ends the run in the middle
        of a step."""
        cdef bytes real = FLOAT64 if self.sizes.dtype else FLOAT32
        cdef int64_t optimizer = 0
        cdef uint32_t epoch = 0, first_position = 0
        ranks = bounds = None
        index = numbers = labels = targets = sample_weight = class_weight = dy = dx = None
        partner = share_of = box = picture = None
        moments, average, coefficients, op_seconds, residents = (), None, None, None, ()
        if others:
            index, labels, targets = others.pop("index", None), others.pop("labels", None), others.pop("targets", None)
            sample_weight, class_weight = others.pop("sample_weight", None), others.pop("class_weight", None)
            numbers, ranks = others.pop("numbers", None), others.pop("ranks", None)
            dy, dx = others.pop("dy", None), others.pop("dx", None)
            partner, share_of = others.pop("partner", None), others.pop("share", None)
            box, picture = others.pop("box", None), others.pop("picture", None)
            optimizer, coefficients = others.pop("optimizer", 0), others.pop("coefficients", None)
            moments, average = others.pop("moments", ()), others.pop("average", None)
            epoch, first_position = others.pop("epoch", 0), others.pop("first_position", 0)
            op_seconds, residents = others.pop("op_seconds", None), others.pop("residents", ())
            if others:
                raise TypeError(f"run() has no arguments {', '.join(others)}")
        cdef int64_t steps, i, items, model = self.sizes.model_bytes // (8 if self.sizes.dtype else 4)
        if count < 1 or not 1 <= batch <= self.sizes.capacity or not 1 <= threads <= 1 << 20:
            raise ValueError(f"count must be at least 1, threads 1 to 2**20 and batch 1 to {self.sizes.capacity}, "
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
        if partner is not None and (len(partner) != count or partner.min() < 0 or partner.max() >= items):
            raise ValueError(f"partner must name {count} of {items} samples")
        if optimizer and (coefficients is None or len(coefficients) != steps):
            raise ValueError(f"{steps} steps need as many rows of coefficients")
        if moments and len(moments) > PMC_MOMENTS:
            raise ValueError(f"an optimizer has at most {PMC_MOMENTS} moments, not {len(moments)}")
        loss = weight = correct = None
        if labels is not None or targets is not None:
            loss, weight, correct = np.zeros(steps), np.zeros(steps), np.zeros(steps, np.int64)

        cdef pmc_run_args a
        cdef pmc_step *step = &a.step
        cdef const pmc_resident *resident[16]
        memset(&a, 0, sizeof(a))
        if residents:
            if len(residents) > 16:
                raise ValueError(f"a run takes at most 16 residents, not {len(residents)}")
            for i, one in enumerate(residents):
                resident[i] = &(<Resident?> one).resident
            a.resident, a.residents = resident, len(residents)
        a.threads, a.count, a.batch, a.items = threads, count, batch, items
        step.optimizer = optimizer
        step.seed, step.epoch, step.first_position = seed, epoch, first_position
        step.param = address(param, "param", real, model, True)
        step.gradient = address(gradient, "gradient", real, model, True)
        if moments:
            for i, moment in enumerate(moments):
                step.moment[i] = address(moment, "moments", real, model, True)
        step.average = address(average, "average", real, model, True)
        step.index = <const int64_t *> address(index, "index", INT64, count)
        step.numbers = <const int64_t *> address(numbers, "numbers", INT64, count)
        if x is not None and <int64_t> x.itemsize == 1:
            step.x_u8 = <const uint8_t *> address(x, "x", UINT8, items * self.sizes.x_elements)
        else:
            step.x_real = address(x, "x", real, items * self.sizes.x_elements)
        step.labels = <const int32_t *> address(labels, "labels", INT32, items)
        step.targets = address(targets, "targets", real, items * self.sizes.y_elements)
        step.sample_weight = <const double *> address(sample_weight, "sample_weight", FLOAT64, items)
        step.partner = <const int64_t *> address(partner, "partner", INT64, count)
        step.share = <const double *> address(share_of, "share", FLOAT64, count)
        step.box = <const int32_t *> address(box, "box", INT32, 4 * count)
        step.height, step.width = picture or (0, 0)
        step.class_weight = <const double *> address(class_weight, "class_weight", FLOAT64, self.sizes.y_elements)
        step.y = address(y, "y", real, count * self.sizes.y_elements, True)
        step.dy = address(dy, "dy", real, count * self.sizes.y_elements)
        step.dx = address(dx, "dx", real, count * self.sizes.x_elements, True)
        step.coefficients = <const pmc_coefficients *> address(coefficients, "coefficients", FLOAT64,
                                                            steps * COEFFICIENTS)
        step.loss = <double *> address(loss, "loss", FLOAT64, steps)
        a.op_seconds = <double *> address(op_seconds, "op_seconds", FLOAT64, threads * self.sizes.ops, True)
        step.weight = <double *> address(weight, "weight", FLOAT64, steps)
        step.correct = <int64_t *> address(correct, "correct", INT64, steps)
        caught = _Caught(ranks)
        a.interrupted, a.context = interrupted, <void *> caught
        if ranks is not None:
            bounds = np.zeros(PMC_DIVISIONS * (ranks.size + 1), np.int64)
            a.rank, a.ranks, a.share, a.exchange = ranks.rank, ranks.size, share, exchange
            a.bounds = <int64_t *> address(bounds, "bounds", INT64, len(bounds), True)
        cdef pmc_status status
        self.prepared = False
        with nogil:
            status = pmc_run(self.plan, program, &a)
        if status == PMC_INTERRUPTED:
            raise caught[0]
        if status == PMC_DEVICE_MEMORY or status == PMC_DEVICE_FAILED:
            failed(self.target, status)
        if status == PMC_NOT_FINITE:
            raise NotFinite(step.bad_layer, a.done)
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

    def predict(self, x, y, param, int64_t threads):
        """Program PREDICT, with weights that are the same at each call, and as little around it as can be: y (n, ...) from
        x (n, ...), uint8 or real."""
        cdef pmc_run_args a
        cdef bytes real = FLOAT64 if self.sizes.dtype else FLOAT32
        cdef int64_t n = len(x), model = self.sizes.model_bytes // (8 if self.sizes.dtype else 4)
        cdef pmc_status status
        memset(&a, 0, sizeof(a))
        a.threads, a.count, a.items, a.batch = threads, n, n, min(n, self.sizes.capacity)
        a.prepared = self.prepared
        a.step.param = address(param, "param", real, model)
        if x.dtype.char == "B":
            a.step.x_u8 = <const uint8_t *> address(x, "x", UINT8, n * self.sizes.x_elements)
        else:
            a.step.x_real = address(x, "x", real, n * self.sizes.x_elements)
        a.step.y = address(y, "y", real, n * self.sizes.y_elements, True)
        caught = []
        a.interrupted, a.context = interrupted, <void *> caught
        with nogil:
            status = pmc_run(self.plan, PMC_PREDICT, &a)
        if status == PMC_INTERRUPTED:
            raise caught[0]
        if status == PMC_DEVICE_MEMORY or status == PMC_DEVICE_FAILED:
            failed(self.target, status)
        if status == PMC_NO_MEMORY:
            raise MemoryError(f"not enough memory for the workspaces of {threads} threads")
        if status != PMC_OK:
            raise ValueError("the run does not fit its plan")
        self.prepared = True
