"""The checks of a plan in C: a plan with one wrong word is refused or harmless, never a crash.

The mutated plans run in a subprocess, which says before each what it is about to do: after a crash the test
names the word and goes on behind it. Arrays of the caller end at a page that may not be touched.
"""

import ctypes
import mmap
import subprocess
import sys

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn import _native, placing
from pymnistcnn._native import Constant, Op, OptimizerKind, Program
from pymnistcnn.target import ISAS, ISAS_OF_BF16, target_of

BATCH = 5
PROGRAMS = [Program.TRAIN, Program.EVALUATE, Program.PREDICT, Program.FORWARD, Program.BACKWARD]
VALUES = [-(2**62), -1, 0, 1, 2, 3, 5, 8, 17, 64, 1024, 2**20, 2**31, 2**32 + 1, 2**62]
STEPS = [-64, -1, 1, 64]  # from the right value
SHAPE = 2 + 2 * Constant.REFS  # the first word of an op's shape
TIMEOUT = 120


def network(dtype):
    """Every kind of op, in few words and little memory."""
    layers = [
        pm.Rescaling(0.5), pm.Augmentation(1, 10, 0.1, 5, 2, 1, cutout=3), pm.GaussianNoise(0.1),
        pm.Augmentation(elastic=2, elastic_grid=3), pm.Morphology(1.5, 1.5), pm.RandomErasing(fill=(0, 1)),
        pm.Conv2d(3, 3, padding=1), pm.BatchNorm2d(), pm.ReLU(), pm.MaxPool2d(2), pm.Conv2d(3, 3, groups=3),
        pm.Tanh(), pm.Softmax(3), pm.LogSoftmax(1), pm.MaxPool2d(2, 1, (0, 1, 0, 0)), pm.Conv2d(4, 2),
        pm.ReLU(), pm.AvgPool2d(2, stride=1, padding=1), pm.BatchNorm2d(), pm.Dropout(0.25),
        pm.Flatten(), pm.Linear(256), pm.BatchNorm1d(), pm.ReLU(),
        pm.Linear(80), pm.Softmax(), pm.Linear(3), pm.LogSoftmax(), pm.Linear(3),
    ]  # fmt: skip
    return pm.Sequential(layers, input_shape=(1, 14, 14), seed=1, dtype=dtype).network


class Recorder:
    """Stands where placing.py looks for the native module, and keeps what a plan is made from."""

    def __init__(self):
        self.arguments = []

    def Plan(self, sizes, ops, phases, programs, target):
        self.arguments.append((sizes, ops, phases, programs, target))
        return _native.Plan(sizes, ops, phases, programs, target)

    def __getattr__(self, name):
        return getattr(_native, name)


def recorded(dtype, by_hand, clip=False, isa=None):
    """The arguments of a valid plan, and its network."""
    recorder, net = Recorder(), network(dtype)
    placing._native = recorder
    try:
        net.plan(by_hand, BATCH, target_of(isa), pm.CrossEntropyLoss(label_smoothing=0.1), clip)
    finally:
        placing._native = _native
    return recorder.arguments[-1], net


def guarded(elements, dtype):
    """An array that ends where a page begins that nobody may touch."""
    size = elements * np.dtype(dtype).itemsize
    whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, whole + mmap.PAGESIZE)
    raw = np.frombuffer(memory, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(raw.ctypes.data + whole), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    return raw[whole - size : whole].view(dtype)


class Caller:
    """The arrays of a caller of `run`, made once."""

    def __init__(self, arguments, net, by_hand):
        self.by_hand = by_hand  # then evaluation gives the gradient of its inputs too
        real, elements = net.dtype, net.elements
        inputs, outputs = (BATCH * arguments[0][name] for name in ("x_elements", "y_elements"))
        vectors = ("param", "gradient", "average", "moment0", "moment1", "moment2")
        names = dict.fromkeys(vectors, elements) | {"x": inputs, "dx": inputs, "y": outputs, "dy": outputs}
        self.arrays = {name: guarded(n, real) for name, n in names.items()}
        self.arrays["labels"] = guarded(BATCH, np.int32)
        self.weights = net.param.copy()
        self.coefficients = pm.RMSprop(momentum=0.9, centered=True).rows(0, np.ones(1), clip_norm=1, average=0.9)

    def run(self, made, threads):
        """Every program that a run of a plan can name, on arrays of just the right size."""
        a = self.arrays
        a["param"][:] = self.weights
        a["x"][:], a["dy"][:], a["labels"][:] = 0.5, 0.5, 1
        needs = {"param": a["param"], "gradient": a["gradient"]}
        for program, names in {
            Program.TRAIN: ("x", "labels", "average"), Program.EVALUATE: ("x", "labels"),
            Program.PREDICT: ("x", "y"), Program.FORWARD: ("x", "y"), Program.BACKWARD: ("dy", "dx"),
        }.items():  # fmt: skip
            training = program == Program.TRAIN
            extra = {"coefficients": self.coefficients, "optimizer": OptimizerKind.RMSPROP} if training else {}
            if training:
                extra["moments"] = [a[f"moment{i}"] for i in range(Constant.MOMENTS)]
            given = {name: a[name].reshape(BATCH, -1) if name in ("x", "y") else a[name] for name in names}
            if program == Program.EVALUATE and self.by_hand:
                given["dx"] = a["dx"]
            try:
                made.run(program, threads=threads, count=BATCH, batch=BATCH, **needs,
                         **given, **extra)  # fmt: skip
            except (FloatingPointError, ValueError):
                pass  # numbers may be nonsense now; memory may not


def mutations(arguments):
    """(what is changed, how) one word at a time."""
    sizes, ops, phases, programs, *_ = arguments
    for name in sizes:
        for value in {*VALUES, *(sizes[name] + step for step in STEPS)} - {sizes[name]}:
            yield f"sizes[{name}] = {value}", dict(sizes, **{name: value}), ops, phases, programs
    seen = set()  # an op that comes in two programs need not be mutated twice
    for row, words in enumerate(ops):
        kind = Op(int(words[0])).name
        fresh = words.tobytes() not in seen
        seen.add(words.tobytes())
        for column, word in enumerate(words.tolist()):
            name = ("kind", "layer")[column] if column < 2 else f"shape[{column - SHAPE}]"
            if 2 <= column < SHAPE:
                name = f"ref[{column // 2 - 1}].{('arena', 'offset')[column % 2]}"
            values = {*VALUES, *(word + step for step in STEPS)}
            if name == "kind":
                values = range(-1, len(Op) + 1)
            elif name.endswith("arena"):
                values = range(-1, 11)
            elif not fresh or not words[column:].any():
                continue  # unused fields
            for value in set(values) - {word}:
                changed = ops.copy()
                changed[row, column] = value
                yield f"op {row} {kind}: {name} {word} -> {value}", sizes, changed, phases, programs
    for table, name in ((phases, "phases"), (programs, "programs")):
        for place in np.ndindex(table.shape):
            word = int(table[place])
            for value in {
                -(2**62),
                -1,
                *range(len(table) + 1),
                len(ops),
                2**31,
                2**62,
                word - 1,
                word + 1,
            } - {word}:
                changed = table.copy()
                changed[place] = value
                tables = (changed, programs) if name == "phases" else (phases, changed)
                yield f"{name}[{', '.join(map(str, place))}] {word} -> {value}", sizes, ops, *tables


def fuzz(isa, dtype, by_hand, clip, first):
    """What the subprocess does: prints the number and name of each mutation before it tries it."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    arguments, net = recorded(dtype, by_hand, clip, isa)
    with open("/proc/self/statm") as file:  # sizes of 2**31 are to be refused, not to be filled with zeros
        most = int(file.read().split()[0]) * mmap.PAGESIZE + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    caller = Caller(arguments, net, by_hand)
    caller.run(_native.Plan(*arguments), threads=1)
    accepted = 0
    for number, (name, *mutated) in enumerate(mutations(arguments)):
        if number < first:
            continue
        print(number, name, flush=True)
        try:
            made = _native.Plan(*mutated, *arguments[4:])
        except (ValueError, MemoryError):
            continue
        accepted += 1
        try:
            caller.run(made, threads=1)
        except MemoryError:
            pass
    print("done", accepted, flush=True)


@pytest.mark.parametrize("isa, dtype, by_hand, clip", [
    (ISAS[-1], "float32", False, True), (ISAS[-1], "float64", True, False),
    *((f"{isa}-bf16", "float32", False, False) for isa in ISAS_OF_BF16 if isa == ISAS[-1] or isa not in ISAS),
], ids=str)  # fmt: skip
def test_a_plan_with_a_wrong_word_never_crashes(isa, dtype, by_hand, clip):
    crashes, first = [], 0
    while len(crashes) < 10:
        command = [sys.executable, __file__, isa, dtype, str(int(by_hand)), str(int(clip)), str(first)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        last = result.stdout.splitlines()[-1] if result.stdout else "nothing"
        if last.startswith("done"):
            break
        crashes.append(f"{last}: exit {result.returncode}: {result.stderr[-300:]}")
        if not last.split()[0].isdigit():
            break
        first = int(last.split()[0]) + 1
    assert not crashes, "crashed at\n" + "\n".join(crashes)
    if first == 0:
        assert int(last.split()[1]) > 0 and result.returncode == 0  # some mutations are harmless: they did run


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_hand", [False, True], ids=["training", "by hand"])
def test_the_words_that_matter_are_refused_by_name(dtype, by_hand):
    (sizes, ops, phases, programs, target), _ = recorded(dtype, by_hand)
    kind, layer = Op(int(ops[0, 0])).name, int(ops[0, 1])
    for row, column, value, message in [
        (0, 3, -64, "outside its arena"),
        (0, 3, 8, "outside its arena"),
        (0, 3, 2**62, "outside its arena"),
        (0, 2, 99, "outside its arena"),
        (0, SHAPE, 0, "too large, or its sizes do not fit"),
        (0, SHAPE, 2**62, "too large, or its sizes do not fit"),
    ]:
        changed = ops.copy()
        changed[row, column] = value
        with pytest.raises(ValueError, match=message) as error:
            _native.Plan(sizes, changed, phases, programs, target)
        assert f"op {row}: {kind}, layer {layer}" in str(error.value)


@pytest.mark.parametrize("kind", [-1, len(Op), 2**31])
def test_an_unknown_kind_of_op_is_a_value_error(kind):
    (sizes, ops, phases, programs, target), _ = recorded("float32", False)
    ops = ops.copy()
    ops[0, 0] = kind
    with pytest.raises(ValueError):
        _native.Plan(sizes, ops, phases, programs, target)


@pytest.mark.parametrize("change", [
    lambda a: (a[0], a[1][:, :-1], *a[2:]), lambda a: (a[0], a[1].ravel(), *a[2:]),
    lambda a: (a[0], a[1], a[2][:, :2], *a[3:]), lambda a: (*a[:3], a[3][:-1], a[4]),
])  # fmt: skip
def test_tables_of_another_shape_are_refused(change):
    arguments, _ = recorded("float32", False)
    with pytest.raises(ValueError, match="a plan needs"):
        _native.Plan(*change(arguments))


def test_arrays_that_do_not_fit_a_run_are_refused():
    arguments, net = recorded("float32", False)
    made, a = _native.Plan(*arguments), Caller(arguments, net, False).arrays
    x, y = a["x"].reshape(BATCH, -1), a["y"].reshape(BATCH, -1)
    good = dict(threads=1, param=a["param"], gradient=a["gradient"], count=BATCH,
                batch=BATCH, x=x, y=y)  # fmt: skip
    made.run(Program.PREDICT, **good)
    read_only = y.copy()
    read_only.flags.writeable = False
    for change in [
        dict(param=a["param"][:-1]), dict(param=a["param"].astype(np.float64)),
        dict(gradient=a["gradient"][::-1]), dict(count=0), dict(threads=0),
        dict(x=x[:-1]), dict(x=x[:, ::-1]), dict(x=None),
        dict(y=None), dict(y=y[:, :-1]), dict(y=read_only),
        dict(batch=0), dict(batch=BATCH + 1), dict(index=np.arange(2)),
        dict(index=np.array([0, 1, 2, 3, BATCH])), dict(index=np.array([0, 1, 2, 3, -1])),
        dict(index=np.arange(BATCH, dtype=np.int32)),
    ]:  # fmt: skip
        with pytest.raises(ValueError):
            made.run(Program.PREDICT, **{**good, **change})
    with pytest.raises(ValueError, match="labels"):
        made.run(Program.EVALUATE, **good)


if __name__ == "__main__":
    fuzz(*sys.argv[1:3], *map(int, sys.argv[3:]))
