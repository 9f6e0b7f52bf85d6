"""What may not matter does not: threads, slices, instruction sets, what memory held before, company."""

import ast
import multiprocessing
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from comparing import FMA_ISAS
from operations import ACTIVATIONS

import pymnistcnn as pm
from pymnistcnn.layers.randomness import RANDOM
from pymnistcnn.target import ISAS, default_target

PACKAGE = Path(pm.__file__).parent
SAMPLES, BATCH = 75, 33  # a last batch of 9
OPTIMIZERS = {
    "sgd": lambda: pm.SGD(0.05, momentum=0.9, weight_decay=1e-3),
    "adam": lambda: pm.Adam(0.01),
    "adamw": lambda: pm.AdamW(0.01),
    "rmsprop": lambda: pm.RMSprop(0.001, momentum=0.5, centered=True),
    "adagrad": lambda: pm.Adagrad(0.01),
}
BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


def complete_layers():
    """Everything there is: both activations, fused and not, dropout, a linear layer in each scope."""
    return [
        *(pm.Rescaling(1 / 255, -0.1), pm.Conv2d(10, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2)),
        *(pm.Conv2d(20, 3), pm.Tanh(), pm.MaxPool2d(2), pm.Flatten(), pm.Dropout(0.3)),
        *(pm.Linear(210), pm.Tanh(), pm.Dropout(0.2), pm.Linear(10)),
    ]


def conv_layers(channels, kernel):
    """One convolution that fits no vector, and what it takes to train it."""
    return [
        *(pm.Rescaling(1 / 255), pm.Conv2d(channels, kernel, padding=1), pm.ReLU()),
        *(pm.Conv2d(channels, kernel, padding=(0, 1), stride=(1, 2)), pm.Tanh(), pm.Flatten(), pm.Linear(10)),
    ]


def normed_layers():
    """Batch norm, folded and not, the other activations and pools, depthwise, and all that is random."""
    return [
        *(pm.Rescaling(1 / 255), pm.Augmentation(2, 20, 0.1, 10, 4, 2, cutout=3), pm.GaussianNoise(0.1)),
        *(pm.Augmentation(elastic=2, elastic_grid=3, stretch=0.1, crop=(0.8, 1)), pm.Morphology(1.5, 1.5)),
        pm.RandomErasing(fill=(0, 1)),
        *(pm.Conv2d(10, 3, padding=1), pm.BatchNorm2d(), pm.LeakyReLU(), pm.AvgPool2d(3, 2, 1, ceil_mode=True)),
        *(pm.Conv2d(10, 3, padding=1, groups=10), pm.BatchNorm2d(momentum=None), pm.ELU(), pm.MaxPool2d(2, dilation=2)),
        *(pm.Conv2d(20, 2), pm.Softplus(), pm.BatchNorm2d(affine=False), pm.Sigmoid(), pm.MaxPool2d(2, ceil_mode=True)),
        *(pm.Flatten(), pm.Linear(210), pm.BatchNorm1d(), pm.Sigmoid(), pm.Dropout(0.2), pm.Linear(10)),
    ]


NETWORKS = {
    "normed": (normed_layers, (1, 14, 14)),
    "complete": (complete_layers, (1, 14, 14)),
    "3 channels": (lambda: conv_layers(3, 3), (3, 9, 9)),
    "10 channels": (lambda: conv_layers(10, (3, 5)), (1, 9, 11)),
    "16 channels": (lambda: conv_layers(16, 3), (2, 9, 8)),
    "20 channels": (lambda: conv_layers(20, 1), (5, 6, 7)),
    "129 channels": (lambda: conv_layers(129, 2), (1, 5, 5)),
    "groups": (
        lambda: [pm.Conv2d(12, 3, groups=3, dilation=2), pm.ReLU(), pm.Flatten(), pm.Linear(10)],
        (6, 8, 8),
    ),
    "pool apart": (
        lambda: [
            pm.MaxPool2d(3, stride=2, padding=1),
            pm.Conv2d(7, 2),
            pm.MaxPool2d(2, stride=1),
            pm.Flatten(),
            pm.Linear(10),
        ],
        (2, 10, 9),
    ),
    "global pool": (
        lambda: [pm.Conv2d(33, 3), pm.Softplus(), pm.GlobalAvgPool2d(), pm.Flatten(), pm.Linear(10)],
        (2, 9, 8),
    ),
    "winograd": (
        lambda: [
            pm.Conv2d(17, 3, padding=1),
            pm.ReLU(),
            pm.MaxPool2d(2),
            pm.Conv2d(33, 5, padding=2),
            pm.Tanh(),
            pm.MaxPool2d(2),
            pm.Flatten(),
            pm.Linear(10),
        ],
        (16, 11, 12),
    ),
    "residual": (
        lambda: [
            pm.Residual([pm.Conv2d(17, 3, padding=1), pm.BatchNorm2d(), pm.GELU(), pm.Dropout(0.1)]),
            pm.Residual([pm.ReLU(), pm.Conv2d(17, 3, padding=1)]),
            *(pm.Flatten(), pm.Residual([pm.Linear(130), pm.Tanh()]), pm.Linear(10)),
        ],
        (2, 9, 8),
    ),
    "activations": (
        lambda: [
            *(layer for operation in ACTIVATIONS.values() for layer in (pm.Linear(40), operation.layer())),
            *(pm.Linear(10), pm.Softmax(), pm.Linear(10)),
        ],
        (65,),
    ),
    "softmaxes": (
        lambda: [
            *(pm.Conv2d(19, 3), pm.Softmax(2), pm.Conv2d(18, 2, padding=1), pm.LogSoftmax(), pm.Softmax(3)),
            *(pm.AvgPool2d(3, 2, (0, 1, 2, 1)), pm.MaxPool2d(3, 2, (2, 1, 0, 1)), pm.Flatten(), pm.Linear(10)),
        ],
        (2, 9, 8),
    ),
    "linear": (lambda: [pm.Linear(300), pm.ReLU(), pm.Linear(77), pm.ReLU(), pm.Linear(10)], (65,)),
}
GRID = pytest.mark.parametrize("name", NETWORKS)


def samples(shape, n=SAMPLES):
    rng = np.random.default_rng(7)
    x = rng.integers(0, 256, (n, *shape), np.uint8)
    x[::2] *= rng.random(x[::2].shape) < 0.2  # as pictures are: mostly zeros
    return x, rng.integers(0, 10, n)


def made(name="complete", dtype="float32", seed=3):
    layers, shape = NETWORKS[name]
    return pm.Sequential(layers(), input_shape=shape, seed=seed, dtype=dtype)


class Every(pm.Callback):
    def __init__(self, every):
        self.every = every


def trained(name="complete", dtype="float32", optimizer="sgd", epochs=2, every=None, **how):
    """A model after a few steps; `every` cuts them into slices."""
    model = made(name, dtype)
    data = samples(model.input_shape)
    callbacks = [Every(every)] if every else []
    model.fit(data, epochs=epochs, batch_size=BATCH, optimizer=OPTIMIZERS[optimizer](), callbacks=callbacks,
              progress=False, **how)  # fmt: skip
    return model


def weights(model):
    return model.network.param.tobytes()


def training_options(name):
    """What a network is trained with besides: one with all there is."""
    if name != "normed":
        return dict(loss=pm.CrossEntropyLoss())
    loss = pm.CrossEntropyLoss(label_smoothing=0.1, weight=range(1, 11))
    return dict(loss=loss, clip_norm=0.5, average=0.9, sample_weight=np.arange(SAMPLES) / SAMPLES)


def plan_for(model, name, by_hand, capacity, target):
    """The plan that `everything` will use."""
    options = training_options(name)
    return model.network.plan(by_hand, capacity, target, options["loss"], "clip_norm" in options)


def everything(name, dtype, isa=None, threads=1, before=lambda model: None):
    """All that can be computed: trained weights, evaluation, outputs, by hand forward, backward, gradients.

    `before` is called with the model before each.
    """
    model = made(name, dtype)
    x, labels = samples(model.input_shape)
    how = dict(isa=isa, threads=threads)
    results = {}
    if not isinstance(model.layers[0], pm.Rescaling):
        x = (x / 255).astype(dtype)
    before(model)
    how_to_train = training_options(name) | how
    model.fit((x, labels), batch_size=BATCH, optimizer=pm.Adam(0.01), progress=False, **how_to_train)
    results["weights"] = weights(model)
    before(model)
    results["evaluation"] = repr(model.evaluate((x, labels), **how))
    before(model)
    results["outputs"] = model.predict_outputs(x, **how).tobytes()
    before(model)
    y = model.forward(x[:BATCH], **how)
    results["forward"] = y.tobytes()
    results["backward"] = model.backward(np.cos(y), **how).tobytes()
    results["gradients"] = model.network.gradient.tobytes()
    return results


def differences(a, b):
    return [key for key in a if a[key] != b[key]]


# ---- threads, slices, instruction sets ----


@BOTH
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_threads_and_slices_do_not_matter(dtype, optimizer):
    expected = weights(trained(dtype=dtype, optimizer=optimizer, threads=1))
    assert expected != weights(made(dtype=dtype))
    for threads in (2, 3, 7):
        assert weights(trained(dtype=dtype, optimizer=optimizer, threads=threads)) == expected, threads
    for every in (1, 3):
        assert weights(trained(dtype=dtype, optimizer=optimizer, threads=2, every=every)) == expected, every


@BOTH
@GRID
def test_threads_do_not_matter_for_anything(name, dtype):
    expected = everything(name, dtype, threads=1)
    for threads in (2, 3, 7):
        assert differences(expected, everything(name, dtype, threads=threads)) == [], threads


@BOTH
@GRID
def test_instruction_sets_with_fma_give_the_same_bits(name, dtype):
    if len(FMA_ISAS) < 2:
        pytest.skip(f"this machine has {', '.join(FMA_ISAS) or 'no instruction set with FMA'} only")
    expected = everything(name, dtype, FMA_ISAS[0])
    for isa in FMA_ISAS[1:]:
        assert differences(expected, everything(name, dtype, isa)) == [], isa


LOSSES = {
    "log-likelihood": ([pm.LogSoftmax], pm.NLLLoss(weight=range(1, 11)), False),
    "smoothed": ([], pm.CrossEntropyLoss(label_smoothing=0.2), False),
    "probabilities": ([], pm.CrossEntropyLoss(), True),
    "squares": ([pm.Sigmoid], pm.MSELoss(), True),
    "expected probability": ([pm.Softmax], pm.ExpectedProbabilityLoss(), True),
}


@BOTH
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_optimizers_give_the_same_bits(name, optimizer, dtype):
    """On any number of threads, and on every instruction set with FMA."""
    last, loss, values = LOSSES[name]
    rng = np.random.default_rng(1)
    x, labels = rng.standard_normal((SAMPLES, 37)).astype(dtype), rng.integers(0, 10, SAMPLES)
    targets = rng.random((SAMPLES, 10)).astype(dtype) if values else labels
    results = set()
    for isa, threads in [(isa, n) for isa in FMA_ISAS or ISAS for n in (1, 3)]:
        model = pm.Sequential(
            [pm.Linear(130), pm.Tanh(), pm.Linear(10), *(kind() for kind in last)], (37,), dtype=dtype
        )
        model.fit(
            (x, targets),
            epochs=2,
            batch_size=BATCH,
            optimizer=OPTIMIZERS[optimizer](),
            loss=loss,
            progress=False,
            isa=isa,
            threads=threads,
        )
        results.add(weights(model))
    assert len(results) == 1


@BOTH
@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_agrees_within_rounding(isa, dtype):
    x, _ = samples((1, 14, 14))
    expected, got = made(dtype="float64").predict_outputs(x), made(dtype=dtype).predict_outputs(x, isa=isa)
    if dtype == "float32":  # its first weights are the rounded ones
        model = made(dtype="float64")
        model.load_state_dict(made().state_dict())
        expected = model.predict_outputs(x)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


def python(code, **environment):
    import os

    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})  # fmt: skip


@pytest.mark.parametrize("isa", ISAS)
def test_the_environment_chooses_the_instruction_set(isa):
    code = """
import numpy as np, pymnistcnn as pm
from pymnistcnn.target import ISAS, default_target
model = pm.Sequential([pm.Conv2d(10, 3), pm.Tanh(), pm.Flatten(), pm.Linear(10)], input_shape=(3, 9, 9))
x = np.random.default_rng(0).normal(size=(40, 3, 9, 9)).astype(np.float32)
chosen = model.predict_outputs(x)
same = [isa for isa in ISAS if (model.predict_outputs(x, isa=isa) == chosen).all()]
print(default_target(), *same)
"""
    result = python(code, PYMNISTCNN_ISA=isa)
    assert result.returncode == 0, result.stderr
    default, *same = result.stdout.split()
    assert default == isa and isa in same


def test_an_unknown_instruction_set_in_the_environment_is_named():
    code = "import pymnistcnn as pm; pm.Sequential([pm.Linear(2)], input_shape=(3,)).predict([[1, 2, 3]])"
    result = python(code, PYMNISTCNN_ISA="mmx")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("ValueError: isa must be one of portable")


# ---- what memory held before ----


@BOTH
@GRID
def test_poisoned_workspaces_do_not_matter(name, dtype):
    def poison(byte):
        def before(model):
            net = model.network
            for by_hand, capacity in ((False, 256), (True, SAMPLES)):
                plan = plan_for(model, name, by_hand, capacity, default_target())
                if by_hand:  # the arena of three threads must be there to be poisoned
                    model.forward(np.zeros((BATCH, *model.input_shape), dtype), threads=3)
                else:
                    model.predict_outputs(np.zeros((BATCH, *model.input_shape), dtype), threads=3)
                assert plan is net._plans[by_hand, default_target()].plan
                plan.poison(byte)

        return before

    expected = everything(name, dtype, threads=3, before=poison(0))
    assert differences(expected, everything(name, dtype, threads=3, before=poison(0xFF))) == []
    # Masks by hand depend on how many forwards there were, so only those may differ from a plain run; and
    # so do running statistics.
    plain = everything(name, dtype, threads=3)
    drops = {"forward", "backward", "gradients"} if name == "complete" else set()
    assert name in ("normed", "residual") or set(differences(expected, plain)) <= drops


@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_poison_between_the_steps_of_a_training(byte):
    class Poison(Every):
        def on_batches(self, training):
            training.network._plans[False, default_target()].plan.poison(byte)

    poisoned, plain = made(), trained(every=1)
    poisoned.fit(samples((1, 14, 14)), epochs=2, batch_size=BATCH, optimizer=OPTIMIZERS["sgd"](),
                 callbacks=[Poison(1)], progress=False)  # fmt: skip
    assert weights(poisoned) == weights(plain)


# ---- fusion, capacity ----


@BOTH
@GRID
def test_fused_and_unfused_agree(name, dtype):
    layers, shape = NETWORKS[name]
    kept = [layer for layer in layers() if not isinstance(layer, RANDOM)]  # masks by hand are their own
    model = pm.Sequential(kept, input_shape=shape, seed=2, dtype=dtype)
    x = np.random.default_rng(5).normal(size=(11, *shape)).astype(dtype)
    y = x
    for layer in model.layers:
        y = layer.forward(y)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    dy = np.cos(y)
    dx = dy
    for layer in reversed(model.layers):
        dx = layer.backward(dx)
    alone = [{name: g.copy() for name, g in layer.gradients.items()} for layer in model.layers]

    def close(a, b):
        return np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1e-30)

    assert close(model.forward(x), y)
    assert close(model.backward(dy), dx)
    for layer, gradients in zip(model.layers, alone, strict=True):
        for key, gradient in gradients.items():
            assert close(layer.gradients[key], gradient), (layer, key)


@BOTH
def test_batch_and_capacity_do_not_matter_for_predictions(dtype):
    x, labels = samples((1, 14, 14), n=600)  # evaluation cuts at 256
    model = trained(dtype=dtype)
    whole = model.predict_outputs(x)
    for n in (1, 2, 7, 33, 255, 256, 257, 600):
        assert model.predict_outputs(x[:n]).tobytes() == whole[:n].tobytes(), n
        assert made_like(model).predict_outputs(x[:n]).tobytes() == whole[:n].tobytes(), n
    pieces = [model.evaluate((x[i : i + 50], labels[i : i + 50])) for i in range(0, 600, 50)]
    result = model.evaluate((x, labels))
    assert sum(round(p.accuracy * 50) for p in pieces) == round(result.accuracy * 600)
    assert np.isclose(np.mean([p.loss for p in pieces]), result.loss, rtol=1e-12)


@BOTH
@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_threads_that_share_the_work_of_a_few_samples_do_not_matter(batch_size, dtype):
    """Convolutions and linear layers that are large enough to be shared: rows of outputs or, where there are 2,
    channels, by Winograd's method and straight to the output; odd ones, so that pieces are, too."""
    x, labels = samples((1, 20, 20), 12)
    results = set()
    for threads in (1, 2, 3, 7):
        layers = [
            *(pm.Rescaling(1 / 255), pm.Conv2d(37, 5, padding=2), pm.ReLU(), pm.MaxPool2d(2)),
            *(pm.Conv2d(67, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2), pm.Conv2d(48, 3, padding=1)),
            *(pm.Conv2d(80, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2), pm.Conv2d(115, 3, padding=1), pm.Tanh()),
            *(pm.Flatten(), pm.Linear(130), pm.ReLU(), pm.Linear(10)),
        ]
        model = pm.Sequential(layers, (1, 20, 20), seed=1, dtype=dtype)
        for _ in range(3):
            model.fit((x, labels), batch_size=batch_size, optimizer=pm.SGD(0.01), progress=False, threads=threads)
        outputs = [model.predict_outputs(x[i : i + batch_size], threads=threads).tobytes() for i in range(9)]
        results.add((weights(model), *outputs))
    assert len(results) == 1


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 9, 33])
def test_a_plan_with_room_to_spare_trains_the_same(batch_size):
    x, labels = samples((1, 14, 14))
    results = []
    for ask_first in (False, True):
        model = made()
        if ask_first:  # makes a plan for all of them
            model.evaluate((np.tile(x, (4, 1, 1, 1)), np.tile(labels, 4)))
        model.fit((x[:38], labels[:38]), batch_size=batch_size, optimizer=pm.Adam(0.01), progress=False)
        results.append(weights(model))
    assert results[0] == results[1]


def made_like(model):
    """A model with the same weights and no plans yet."""
    other = made(dtype=model.dtype)
    other.load_state_dict(model.state_dict())
    return other


# ---- company: threads and processes ----


def in_threads(tasks):
    """What each task returns, all at once; errors are raised here."""
    results = [None] * len(tasks)

    def run(i):
        try:
            results[i] = tasks[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "hangs"
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def test_models_in_threads_give_what_they_give_alone():
    names = ["complete", "linear", "3 channels", "complete"]
    alone = [weights(trained(name, threads=2)) for name in names]
    assert in_threads([lambda name=name: weights(trained(name, threads=2)) for name in names]) == alone


def test_one_model_may_be_asked_from_several_threads():
    model = trained()
    x, labels = samples((1, 14, 14), n=300)
    counts = [300, 1, 77, 256, 33, 2]
    alone = [model.predict_outputs(x[:n]).tobytes() for n in counts]
    accuracy = model.score(x, labels)

    def ask(n):
        return [model.predict_outputs(x[:n], threads=1 + i % 3).tobytes() for i in range(5)]

    *together, scores = in_threads([lambda n=n: ask(n) for n in counts] + [lambda: [model.score(x, labels)] * 3])
    assert together == [[outputs] * 5 for outputs in alone] and set(scores) == {accuracy}


def train_and_predict(queue, model):
    x, labels = samples((1, 14, 14))
    outputs = model.predict_outputs(x, threads=3).tobytes()
    model.fit((x, labels), batch_size=BATCH, optimizer=pm.Adam(0.01), progress=False, threads=3)
    queue.put((outputs, weights(model), weights(trained(threads=3))))


def test_a_forked_child_trains_and_predicts():
    model = trained(threads=3)  # now there are OpenMP threads, which the child will not have
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=train_and_predict, args=(queue, model))
    with warnings.catch_warnings():  # Python 3.12 warns of what is tested here
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    try:
        got = queue.get(timeout=30)
        child.join(30)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
        queue.close()
    x, labels = samples((1, 14, 14))
    outputs = model.predict_outputs(x, threads=3).tobytes()
    model.fit((x, labels), batch_size=BATCH, optimizer=pm.Adam(0.01), progress=False, threads=3)
    assert got == (outputs, weights(model), weights(trained(threads=3)))


# ---- imports ----

ORDER = [
    {"checks", "_native", "processors", "turns"},
    {"operands", "mapped"},
    {"nodes", "factors"},
    {"placing"},
    {"plan"},
    {"target"},
    {"network"},
    {"stepping"},
    {"initializers"},
    {"layers"},
    {"architecture", "tiny"},
    {
        "losses",
        "optimizers",
        "schedules",
        "averages",
        "metrics",
        "callbacks",
        "files",
        "mismatch",
        "batch_norm",
        "mixing",
    },
    {"functional", "checkpoints", "progress", "recorder", "trackers"},
    {"ranks"},
    {"sources"},
    {"distillation", "streams"},
    {"predictor", "training"},
    {"c_code", "card"},
    {"model"},
    {"ensemble"},
    {"calibration", "learning_rates", "loading", "interpretation"},
    {"plots"},
    {"report"},
    {"onnx", "pytorch", "recipes", "scratch"},
    {"many"},
    {"tutorials", "benchmarking", "drawing", "estimator"},
    {"cli"},
]
ALONE = {  # NumPy, the standard library, and what is named here
    "_compiled": {},
    "_starting": {},
    "_types": {},
    "ahead": {},
    "checks": {"_types"},
    "elementary": {"_types"},
    "extras": {},
    "datasets": {"_types", "checks", "extras", "markup", "pictures"},
    "markup": {"_types"},
    "openmp": {},
    "pictures": {"_types", "checks"},
    "processors": {},
    "turns": {},
    "schedules": {"_types", "checks", "elementary"},
    "averages": {"_types", "checks"},
    "metrics": {"_types", "checks"},
    "initializers": {"_types", "checks", "elementary"},
}
BESIDE = {"losses": {"layers"}, "model": {"onnx", "pytorch"}, "training": {"plots"}, "batch_norm": {"model"}}
# these are types, and doors, opened when asked
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}


def imported(path, everywhere=True):
    """Top-level names of other packages, and modules of this one, that a module imports."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else tree.body
    others, ours = set(), set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(PACKAGE.parent).parts[: -node.level] if node.level else ()
            start = ".".join((*package, *([node.module] if node.module else []), ""))
            names = [start + alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            (ours if package == "pymnistcnn" else others).add(
                rest.split(".")[0] if package == "pymnistcnn" else package
            )
    return others, ours


def module(path):
    """The module, or package within this one, that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE).with_suffix("")))
def test_imports_point_one_way(path):
    name, (others, ours) = module(path), imported(path)
    ours &= {module(file) for file in FILES} | {"_native"}
    ours -= {name}
    if name in ALONE:
        others, _ = imported(path, everywhere=False)
        assert ours <= set(ALONE[name]) and others - {"numpy"} <= set(sys.stdlib_module_names)
    elif name in LEVEL:
        beside = BESIDE.get(name, set())
        assert {m for m in ours & LEVEL.keys() if LEVEL[m] >= LEVEL[name]} <= beside, "these point up"
        if name in ("model", "training"):
            assert not imported(path, everywhere=False)[1] & beside, "a door is opened before anybody asks"
        assert ours <= LEVEL.keys() | ALONE.keys(), "modules without a place in the order"
    else:
        assert name in ("__init__", "__main__"), "a module without a place in the order"


def test_importing_brings_in_only_what_it_needs():
    result = python("import sys, pymnistcnn; print(*sys.modules)")
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert "pymnistcnn.model" in loaded
    others = {"click", "tqdm", "PIL", "safetensors", "pytest", "torch", "onnx", "matplotlib", "tensorboardX", "mpi4py"}
    assert loaded & others == set()
    assert "pymnistcnn.recipes" not in loaded


def test_recipes_are_there_without_a_further_import():
    result = python("import pymnistcnn as pm; print(pm.recipes.fast(seed=1).average)")
    assert result.stdout == "None\n", result.stderr
