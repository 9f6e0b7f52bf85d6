"""Random and hostile input, to run under the sanitizers: nothing may crash, and errors are those that are promised.

    python tests/fuzz.py plans --seconds 100
    python tests/fuzz.py readers api --cases 1000000 --seed 7

A case is a function of its seed, which is told where one fails: --seed SEED --cases 1 does it again.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import io
import itertools
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np

import pymnistcnn as pm
from pymnistcnn import _native, placing
from pymnistcnn._native import Program
from pymnistcnn.target import ISAS, ISAS_OF_BF16, target_of

HOSTILE = [0, 1, -1, 2, 7, 15, 16, 17, 63, 64, 65, 255, 256, 2**15, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63)]

# ---- files ----


def idx(rng):
    file = io.BytesIO()
    shape = [(3, 4, 5), (7,), (2, 28, 28)][rng.integers(3)]
    content = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes() + rng.bytes(int(np.prod(shape)))
    file.write(gzip.compress(content) if rng.random() < 0.5 else content)
    return file.getvalue()


def text(rng):
    separator = "\t,"[int(rng.integers(2))]
    rows = [
        separator.join(map(str, [*rng.integers(0, 256, 784), rng.integers(10)])) for _ in range(int(rng.integers(1, 4)))
    ]
    return "\n".join(rows).encode()


def small(rng):
    layers = [
        [pm.Linear(3)],
        [pm.Conv2d(2, 3, padding=1), pm.BatchNorm2d(), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(4)],
        [pm.Residual([pm.Linear(5), pm.ReLU()]), pm.Softmax()],
    ][rng.integers(3)]
    return pm.Sequential(layers, (1, 6, 6) if isinstance(layers[0], pm.Conv2d) else (5,))


def saved(rng):
    with tempfile.TemporaryDirectory() as folder:
        small(rng).save(f"{folder}/a")
        return Path(folder, "a").read_bytes()


def graph(rng):
    with tempfile.TemporaryDirectory() as folder:
        small(rng).to_onnx(f"{folder}/a", fold_batch_norm=bool(rng.integers(2)))
        return Path(folder, "a").read_bytes()


def picture(rng):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (40, 30), np.uint8)).save(file, ["png", "bmp", "gif", "jpeg"][rng.integers(4)])
    return file.getvalue()


def table(rng):
    """Text of small images, in one of the forms that people have."""
    separator, form = [",", ";", " ", "\t"][rng.integers(4)], ["%d", "%.1f", "%.18e", '"%d"'][rng.integers(4)]
    rows = [
        separator.join([str(rng.integers(3)), *(form % pixel for pixel in rng.integers(0, 256, 16))]) for _ in range(9)
    ]
    head = separator.join(["label", *map(str, range(16))])
    return "\n".join([head, *rows][int(rng.integers(2)) :]).encode()


def arrays(rng):
    file = io.BytesIO()
    save = [np.savez, np.savez_compressed][rng.integers(2)]
    save(file, x_train=rng.integers(0, 256, (9, 4, 4), np.uint8), y_train=rng.integers(0, 3, 9))
    return file.getvalue()


def archive(rng):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in ("cat", "dog"):
            for at in range(2):
                zipped.writestr(f"{name}/{at}.png", picture(rng))
    return file.getvalue()


READERS = {  # and the ends of their names
    idx: (pm.datasets.read_idx, ""),
    text: (pm.datasets.read_text, ""),
    table: (pm.datasets.read, ".csv"),
    arrays: (pm.datasets.read, ".npz"),
    archive: (pm.datasets.read, ".zip"),
    saved: (pm.load, ""),
    picture: (pm.pictures.read_digit, ""),
}
WHOLE = set()
if importlib.util.find_spec("onnx"):
    from fuzz_graphs import changed_graph

    READERS[graph] = READERS[changed_graph] = pm.from_onnx, ".onnx"
    WHOLE = {changed_graph}  # what is wrong in these is not a byte


def damaged(content, rng):
    """Some bytes changed, left out, put in, or doubled."""
    content = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        at, size = int(rng.integers(len(content) + 1)), int(rng.geometric(0.2))
        change = rng.integers(5)
        if change == 0 and at < len(content):
            content[at] ^= 1 << int(rng.integers(8))
        elif change == 1:
            content[at : at + size] = rng.bytes(size)
        elif change == 2:
            del content[at : at + size]
        elif change == 3:
            content[at:at] = content[at : at + 8 * size]
        else:
            content[at:at] = str(HOSTILE[rng.integers(len(HOSTILE))]).encode()
    return bytes(content)


def readers(rng, folder):
    make = list(READERS)[rng.integers(len(READERS))]
    read, end = READERS[make]
    path = Path(folder, f"file{end}")
    path.write_bytes(make(rng) if make in WHOLE else damaged(make(rng), rng))
    try:
        got = read(path)
        if isinstance(got, pm.Sequential):
            got.predict_outputs(np.zeros((2, *got.input_shape), got.dtype))
    except (ValueError, OSError, MemoryError):
        pass


# ---- plans ----


class Captured(Exception):
    pass


def parts_of_plan(rng):
    """What a plan is made from: sizes, ops, phases, programs, target."""
    shape = (2, 8, 8)
    layers = [
        [pm.Conv2d(17, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(5)],
        [
            pm.Conv2d(4, 3, groups=2),
            pm.BatchNorm2d(),
            pm.Tanh(),
            pm.AvgPool2d(2),
            pm.Dropout(0.3),
            pm.Flatten(),
            pm.Linear(5),
        ],
        [pm.Flatten(), pm.Linear(200), pm.GELU(), pm.Linear(300), pm.Softmax()],
        [
            pm.Augmentation(shift=1, elastic=1),
            pm.Augmentation(crop=0.5, elastic=1, elastic_grid=2),
            *(pm.Morphology(2, 1), pm.RandomErasing()),
            pm.Residual([pm.Conv2d(2, 3, padding=1)]),
            pm.GlobalAvgPool2d(),
            pm.Flatten(),
        ],
    ][rng.integers(4)]
    dtype, target = ["float32", "float64"][rng.integers(2)], target_of(ISAS[rng.integers(len(ISAS))])
    if dtype == "float32" and rng.random() < 0.3:
        target = target_of(ISAS_OF_BF16[rng.integers(len(ISAS_OF_BF16))], precision="bf16")
    elif rng.random() < 0.2:
        target = target_of(device="emulated")
    model = pm.Sequential(layers, shape, dtype=dtype)
    made, plan = [], _native.Plan

    def capture(*parts):
        made.extend(parts)
        raise Captured

    placing._native.Plan = capture
    try:
        loss = pm.ExpectedProbabilityLoss() if isinstance(layers[-1], pm.Softmax) else pm.CrossEntropyLoss()
        model.network.plan(bool(rng.integers(2)), int(rng.integers(1, 20)), target, loss, bool(rng.integers(2)))
    except Captured:
        pass
    finally:
        placing._native.Plan = plan
    return made


def hostile(array, rng):
    """A copy with some numbers that are not right."""
    array = np.array(array)
    for _ in range(int(rng.integers(1, 4))):
        at = tuple(int(rng.integers(n)) for n in array.shape)
        change = rng.integers(3)
        if change == 0:
            array[at] = HOSTILE[rng.integers(len(HOSTILE))]
        elif change == 1:
            array[at] += int(rng.integers(-20, 21))
        else:
            array[at] = array[tuple(int(rng.integers(n)) for n in array.shape)]
    return array


def plans(rng, folder):
    sizes, ops, phases, programs, target = parts_of_plan(rng)
    which = rng.integers(4)
    if which == 0:
        ops = hostile(ops, rng)
    elif which == 1:
        phases = hostile(phases, rng)
    elif which == 2:
        programs = hostile(programs, rng)
    else:
        name = list(sizes)[rng.integers(len(sizes))]
        change = [*HOSTILE, sizes[name] + int(rng.integers(-70, 70)), sizes[name] // 2]
        sizes = {**sizes, name: change[rng.integers(len(change))]}
    if max(sizes.values()) > 2**28:
        return  # memory is not what is tried here
    try:
        plan = _native.Plan(sizes, ops, phases, programs, target)
    except (ValueError, MemoryError, OverflowError):
        return
    real = np.float64 if sizes["dtype"] else np.float32
    model, n = sizes["model_bytes"] // np.dtype(real).itemsize, int(rng.integers(1, 2 * sizes["capacity"] + 1))
    if n * max(sizes["x_elements"], sizes["y_elements"]) > 1 << 24 or model > 1 << 24:
        return
    x = rng.random((n, sizes["x_elements"])).astype(real)
    y, dy = np.empty((n, sizes["y_elements"]), real), np.ones((n, sizes["y_elements"]), real)
    classes = HOSTILE if rng.random() < 0.1 else range(max(sizes["y_elements"], 1))
    labels = np.array([classes[rng.integers(len(classes))] % 2**31 for _ in range(n)], np.int32)
    batch = int(rng.integers(1, sizes["capacity"] + 1))
    optimizer = pm.Adam()
    how = dict(
        threads=int(rng.integers(1, 4)),
        param=np.ones(model, real),
        gradient=np.zeros(model, real),
        count=n,
        batch=batch,
        x=x,
        y=y,
        dy=dy,
        dx=np.empty_like(x),
        labels=labels,
        class_weight=np.ones(sizes["y_elements"]) if rng.random() < 0.5 else None,
        optimizer=optimizer.kind,
        moments=[np.zeros(model, real), np.zeros(model, real)],
        coefficients=optimizer.rows(0, [1e-3] * -(-n // batch)),
    )
    if rng.random() < 0.5:
        how |= mixture(rng, n)
    for program in Program:
        try:
            plan.run(program, **how)
        except (ValueError, MemoryError, FloatingPointError):
            pass


def mixture(rng, n):
    """What samples are mixed with, now and then with what is not right; a part of it may be missing."""
    partner, box = rng.integers(0, n, n), rng.integers(-3, 12, (n, 4))
    if rng.random() < 0.2:
        partner[rng.integers(n)] = HOSTILE[rng.integers(len(HOSTILE))] % 2**63
        box[rng.integers(n)] = HOSTILE[rng.integers(len(HOSTILE))] % 2**31
    given = dict(partner=partner, share=rng.random(n), box=box.astype(np.int32),
                 picture=[(8, 8), (1, 1), (8, 16), (0, 3), (5, 7), (2**62, 4)][rng.integers(6)])  # fmt: skip
    return {name: value for name, value in given.items() if rng.random() < 0.9}


# ---- calls ----

F = pm.functional
NUMBERS = [0.0, -0.0, 1.0, -1.5, 1e-45, 1e-38, 3e38, 1e300, np.inf, -np.inf, np.nan]


def array(rng, *shape):
    """Any type, any layout, any values."""
    kind = ["f4", "f8", ">f4", ">f8", "u1", "i4", "i8", "f2", "?", "c8", "O", "U3"][
        rng.choice(12, p=[0.4, 0.2] + [0.04] * 10)
    ]
    values = np.asarray(rng.standard_normal(shape) * 3)
    if rng.random() < 0.3 and values.size:
        values.reshape(-1)[rng.integers(values.size)] = NUMBERS[rng.integers(len(NUMBERS))]
    with np.errstate(all="ignore"):
        made = np.nan_to_num(values).astype(kind) if kind in ("u1", "i4", "i8", "?") else values.astype(kind)
    layout = rng.integers(4)
    if layout == 1:
        return np.asfortranarray(made)
    if layout == 2 and made.ndim:
        return np.repeat(made, 2, axis=-1)[..., ::2]
    if layout == 3 and made.ndim:
        return made[::-1]
    return made


def size(rng):
    return int(rng.choice([0, 1, 2, 3, 5, 8, 17], p=[0.05, 0.2, 0.2, 0.2, 0.15, 0.1, 0.1]))


def option(rng):
    return [1, 2, 0, -1, 3, (1, 2), (2,), 2.5, None, "same", 2**40, True][rng.choice(12, p=[0.4, 0.2] + [0.04] * 10)]


def api(rng, folder):
    n, c, h, w, k = (size(rng) for _ in range(5))
    x4, x2 = array(rng, n, c, h, w), array(rng, n, c)
    o = [option(rng) for _ in range(6)]
    calls = [
        lambda: F.conv2d(x4, array(rng, k, max(c, 1), size(rng), size(rng)), None, o[0], o[1], o[2], o[3]),
        lambda: F.conv2d_backward(array(rng, n, k, h, w), x4, array(rng, k, c, 1, 1)),
        lambda: F.max_pool2d(x4, o[0], o[1], o[2]),
        lambda: F.avg_pool2d(x4, o[0], o[1], o[2], divisor_override=o[3]),
        lambda: F.adaptive_avg_pool2d(x4, o[0]),
        lambda: F.linear(x2, array(rng, k, c), array(rng, k)),
        lambda: F.linear_backward(array(rng, n, k), x2, array(rng, k, c)),
        lambda: F.softmax(array(rng, *[size(rng) for _ in range(int(rng.integers(4)))]), o[0]),
        lambda: F.gelu(x2), lambda: F.elu_backward(array(rng, n, c), x2), lambda: F.softplus(x2, o[0], o[1]),
        lambda: F.batch_norm(x4, None, None, training=True),
        lambda: F.cross_entropy(x2, array(rng, n), reduction=["mean", "sum", "none"][rng.integers(3)]),
        lambda: F.cross_entropy(x2, rng.integers(-2, 6, n), array(rng, c) if rng.random() < 0.3 else None),
        lambda: F.mse_loss(x2, array(rng, n, c)),
        lambda: F.dropout(x4, o[0]), lambda: F.augment(x4, shift=o[0], cutout=o[1]),
        lambda: F.update(pm.SGD(0.1), x2, array(rng, n, c), clip_norm=o[0]),
        lambda: pm.Conv2d(o[0], o[1], stride=o[2], padding=o[3], dilation=o[4]).forward(x4),
        lambda: pm.MaxPool2d(o[0], o[1], o[2]).forward(x4),
        lambda: pm.Sequential([pm.Flatten(), pm.Linear(3)], (c, h, w), seed=o[0]).fit(
            x4, rng.integers(-1, 4, n), epochs=1, batch_size=o[1], shuffle=o[2], progress=False),
        lambda: pm.Step(1.0, o[0]).rates(o[1], o[2], o[3]),
        lambda: pm.metrics.ConfusionMatrix(o[0]).update(rng.integers(-1, 4, n), x2),
        lambda: pm.datasets.Dataset(x4, array(rng, n))[: o[0]],
        lambda: pm.Sequential([pm.Linear(3)], (4,)).load_state_dict({"0.weight": x2, "0.bias": array(rng, 3)}),
    ]  # fmt: skip
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            calls[rng.integers(len(calls))]()
    except (ValueError, FloatingPointError, MemoryError):
        pass
    except TypeError as error:
        if "index" not in str(error) and "slice" not in str(error):
            raise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["readers", "plans", "api"])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of each")
    parser.add_argument("--cases", type=int, default=None, help="of each")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    failed = 0
    for what in asked.what:
        end, done = time.monotonic() + asked.seconds, 0
        with tempfile.TemporaryDirectory() as folder:
            for seed in itertools.count(asked.seed):
                if time.monotonic() > end or done == asked.cases:
                    break
                try:
                    globals()[what](np.random.default_rng(seed), folder)
                except Exception as error:  # whatever is not promised
                    failed += 1
                    print(f"{what}, seed {seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
                done += 1
        print(f"{what}: {done:,} cases from seed {asked.seed} on", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
