"""The same as PyTorch, forward and every gradient, over generated configurations and on every instruction set.

What fails is printed as a Configuration; from the folder tests, it runs alone:

    from pymnistcnn import *; from test_pytorch_grid import *
    check(Configuration(...))
"""

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np
import operations
import pytest

import pymnistcnn as pm
from pymnistcnn import functional as F
from pymnistcnn.target import ISAS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn, TF = torch.nn, torch.nn.functional
torch.set_num_threads(1)  # two OpenMP runtimes in one process slow each other down

SEED, CHUNKS, CHUNK = 1, 60, 50
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of the largest value
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")


@dataclass(frozen=True)
class Configuration:
    """An operation on arrays of these shapes; `integers`: the arrays hold small ones, and results are exact."""

    operation: str
    dtype: str
    seed: int
    shapes: dict
    options: dict
    integers: bool = False


# ---- comparison -------------------------------------------------------------------------------------------


def agree(actual, expected, tolerance, what):
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else np.asarray(expected)
    actual = np.asarray(actual)
    assert actual.shape == expected.shape, f"{what} has shape {actual.shape}, not {expected.shape}"
    assert np.isfinite(expected).all(), f"{what} is not finite in PyTorch"
    error, largest = np.abs(actual - expected).max(), np.abs(expected).max()
    assert error <= tolerance * largest, f"{what} is off by {error:.3g}, where the largest value is {largest:.3g}"


def drawn(c, rng, shape, kind="normal"):
    """Numbers of an array: small integers, multiples of 1/8 up to 2, or normal ones."""
    if c.integers:
        return rng.integers(-4, 5, shape).astype(c.dtype)
    if kind == "grid":
        return (rng.integers(-16, 17, shape) / 8).astype(c.dtype)
    return rng.standard_normal(shape).astype(c.dtype)


def tensor(array, grad=True):
    return torch.tensor(array, requires_grad=grad)


def on_every_isa(compare):
    """Call `compare` with what to give to our functions; errors name the instruction set."""
    for isa in ISAS:
        try:
            compare({"isa": isa, "threads": 1})
        except Exception as error:
            raise AssertionError(f"on {isa}: {type(error).__name__}: {error}") from None


# ---- functions of arrays that have a partner --------------------------------------------------------------


def convolution(x, w, b=None, *, padding, **options):
    if isinstance(padding, tuple) and len(padding) == 4:
        top, bottom, left, right = padding
        x, padding = TF.pad(x, (left, right, top, bottom)), 0
    return TF.conv2d(x, w, b, padding=padding, **options)


THEIRS = {name: operation.in_pytorch for name, operation in operations.ALL.items()} | {"conv2d": convolution}
EXACT = {name for name, operation in operations.ALL.items() if {} in operation.exact}


def check_function(c, rng):
    arrays = {name: drawn(c, rng, shape) for name, shape in c.shapes.items()}
    tensors = {name: tensor(array) for name, array in arrays.items()}
    y = THEIRS[c.operation](*tensors.values(), **c.options)
    dy = drawn(c, rng, y.shape)
    gradients = torch.autograd.grad(y, list(tensors.values()), torch.tensor(dy))
    tolerance = 0 if c.integers else TOLERANCE[c.dtype]
    taken = [array for name, array in arrays.items() if name != "b" or c.operation == "matmul"]

    def compare(how):
        agree(getattr(F, c.operation)(*arrays.values(), **c.options, **how), y, tolerance, "y")
        ours = getattr(F, f"{c.operation}_backward")(dy, *taken, **c.options, **how)
        for name, mine, theirs in zip(tensors, ours if isinstance(ours, tuple) else [ours], gradients, strict=False):
            agree(mine, theirs, tolerance, f"d{name}")
        if c.operation == "max_pool2d":
            _, indices = F.max_pool2d(*arrays.values(), **c.options, return_indices=True, **how)
            _, expected = TF.max_pool2d(*tensors.values(), **c.options, return_indices=True)
            agree(indices, expected, 0, "the indices")

    on_every_isa(compare)


# ---- batch norm -------------------------------------------------------------------------------------------


def check_batch_norm(c, rng):
    x = 2 * drawn(c, rng, c.shapes["x"]) + 1
    channels = x.shape[1]
    mean, var = drawn(c, rng, channels), rng.uniform(0.5, 2, channels).astype(c.dtype)
    weight, bias = (drawn(c, rng, channels) if c.options["affine"] else None for _ in range(2))
    options = {name: c.options[name] for name in ("training", "momentum", "eps")}
    tensors = [tensor(array) for array in (x, weight, bias) if array is not None]
    running = [tensor(array, grad=False) for array in (mean, var)]
    y = TF.batch_norm(tensors[0], *running, *tensors[1:], **options)
    dy = drawn(c, rng, x.shape)
    gradients = torch.autograd.grad(y, tensors, torch.tensor(dy))
    tolerance = TOLERANCE[c.dtype]

    def compare(how):
        moved = mean.copy(), var.copy()
        agree(F.batch_norm(x, *moved, weight, bias, **options, **how), y, tolerance, "y")
        for mine, theirs in zip(moved, running, strict=True):
            agree(mine, theirs, tolerance, "the running statistics")
        if options["training"]:
            ours = F.batch_norm_backward(dy, x, weight, options["eps"], **how)
            for name, mine, theirs in zip(("dx", "dweight", "dbias"), ours, gradients, strict=False):
                agree(mine, theirs, tolerance, name)

    on_every_isa(compare)


# ---- losses -----------------------------------------------------------------------------------------------


def mean(losses, counts, sample_weight):
    """The mean of which each sample has its share."""
    shares = torch.ones_like(losses) if sample_weight is None else torch.tensor(sample_weight).to(losses)
    return (shares * losses).sum() / (shares * counts).sum()


def their_loss(operation, x, target, sample_weight, weight, label_smoothing):
    classes = None if weight is None else torch.tensor(weight).to(x)
    counts = torch.ones_like(x[:, 0])
    if target.dtype == torch.int64 and classes is not None:
        counts = classes[target]
    if operation == "cross_entropy":
        losses = TF.cross_entropy(x, target, classes, reduction="none", label_smoothing=label_smoothing)
        if sample_weight is None:
            return TF.cross_entropy(x, target, classes, label_smoothing=label_smoothing)
        return mean(losses, counts, sample_weight)
    if operation == "nll_loss":
        if sample_weight is None:
            return TF.nll_loss(x, target, classes)
        return mean(TF.nll_loss(x, target, classes, reduction="none"), counts, sample_weight)
    if operation == "mse_loss":
        if sample_weight is None:
            return TF.mse_loss(x, target)
        return mean(TF.mse_loss(x, target, reduction="none").mean(1), counts, sample_weight)
    if target.dtype == torch.int64:
        target = TF.one_hot(target, x.shape[1])
    return mean(-(x * target).mean(1), counts, sample_weight)


def check_loss(c, rng):
    n, classes = c.shapes["x"]
    x = 3 * drawn(c, rng, (n, classes))
    if c.operation == "nll_loss":
        x = torch.log_softmax(torch.tensor(x), 1).numpy()
    if c.operation == "expected_probability_loss":
        x = torch.softmax(torch.tensor(x), 1).numpy()
    target = {
        "labels": lambda: rng.integers(0, classes, n),
        "distributions": lambda: rng.dirichlet(np.ones(classes), n).astype(c.dtype),
        "numbers": lambda: rng.uniform(0, 2, (n, classes)).astype(c.dtype),
    }[c.options["target"]]()
    weight = rng.uniform(0.5, 2, classes) if c.options.get("weight") else None
    sample_weight = rng.uniform(0.5, 2, n) if c.options["sample_weight"] else None
    smoothing = c.options.get("label_smoothing", 0.0)
    theirs = tensor(x)
    value = their_loss(c.operation, theirs, torch.tensor(target), sample_weight, weight, smoothing)
    (dx,) = torch.autograd.grad(value, theirs)
    options = {"sample_weight": sample_weight}
    options |= {"weight": weight} if "weight" in c.options else {}
    options |= {"label_smoothing": smoothing} if "label_smoothing" in c.options else {}

    def compare(how):
        agree(getattr(F, c.operation)(x, target, **options, **how), value, TOLERANCE[c.dtype], "the loss")
        ours = getattr(F, f"{c.operation}_backward")(1, x, target, **options, **how)
        agree(ours, dx, TOLERANCE[c.dtype], "dx")

    on_every_isa(compare)


# ---- optimizers -------------------------------------------------------------------------------------------


def check_update(c, rng):
    optimizer, clip_norm = c.options["optimizer"], c.options["clip_norm"]
    start = drawn(c, rng, c.shapes["weights"]) / 10
    gradients = [drawn(c, rng, start.shape) for _ in range(c.options["steps"])]
    names = [f.name for f in fields(optimizer) if f.init and f.name != "eps_inside_sqrt"]
    theirs = tensor(start)
    stepper = getattr(torch.optim, type(optimizer).__name__)([theirs], **{n: getattr(optimizer, n) for n in names})
    expected = []
    for gradient in gradients:
        theirs.grad = torch.tensor(gradient)
        if clip_norm is not None:
            nn.utils.clip_grad_norm_([theirs], clip_norm)
        stepper.step()
        expected.append(theirs.detach().clone())

    def compare(how):
        weights, state = start, None
        for step, gradient in enumerate(gradients):
            weights, state = F.update(optimizer, weights, gradient, state, clip_norm, **how)
            agree(weights, expected[step], TOLERANCE[c.dtype], f"the weights after step {step}")

    on_every_isa(compare)


# ---- blocks that a Sequential fuses -----------------------------------------------------------------------


def in_torch(layer, before):
    """The PyTorch layer of one of ours, for samples of this shape."""
    options = {name: value for name, value in layer.settings().items() if name not in ("out_channels", "padding")}
    if isinstance(layer, pm.Conv2d):
        return nn.Conv2d(before[0], layer.out_channels, **options)
    if isinstance(layer, pm.BatchNorm2d):
        return nn.BatchNorm2d(before[0], **options)
    return getattr(nn, type(layer).__name__)(**layer.settings())


def block_pair(c, rng):
    """The layers as a model of ours and as one of PyTorch's, which pads first, with the same weights."""
    first, *others = (type(layer)(**layer.settings()) for layer in c.options["layers"])
    model = pm.Sequential([first, *others], c.shapes["x"][1:], dtype=c.dtype)
    top, bottom, left, right = first._sides
    theirs = nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), *map(in_torch, model.layers, model.network.shapes))
    weights = model.state_dict()
    for name in weights:
        if name.endswith(("weight", "bias")):
            weights[name] = drawn(c, rng, weights[name].shape, "grid")
    weights["0.weight"] *= 2.0 ** -np.round(np.log2(np.sqrt(weights["0.weight"][0].size)))
    model.load_state_dict(weights)
    theirs = theirs.to(getattr(torch, c.dtype))
    theirs.load_state_dict({f"{int(name[0]) + 1}{name[1:]}": torch.tensor(w) for name, w in model.state_dict().items()})
    return model, theirs


def check_block(c, rng):
    model, theirs = block_pair(c, rng)
    x = drawn(c, rng, c.shapes["x"], "grid")  # where a pool or a kink at 0 decides, both decide alike
    start, tolerance = model.network.param.copy(), TOLERANCE[c.dtype]
    normed = isinstance(model.layers[1], pm.BatchNorm2d)
    given = tensor(x)
    y = theirs(given)
    dy = drawn(c, rng, y.shape)
    y.backward(torch.tensor(dy))
    predicted = theirs.eval()(torch.tensor(x))

    def compare(how):
        model.network.param[:] = start
        agree(model.forward(x, **how), y, tolerance, "y")
        agree(model.backward(dy, **how), given.grad, tolerance, "dx")
        for number, layer in enumerate(model.layers):
            for name, gradient in layer.gradients.items():
                if normed and (number, name) == (0, "bias"):
                    continue  # it has no gradient but rounding errors
                agree(gradient, getattr(theirs[number + 1], name).grad, tolerance, f"the gradient of {number}.{name}")
            for name, buffer in layer.buffers.items():
                agree(buffer, getattr(theirs[number + 1], name), tolerance, name)
        agree(model.predict_outputs(x, **how), predicted, tolerance, "the prediction")

    on_every_isa(compare)


# ---- configurations ---------------------------------------------------------------------------------------


def between(rng, low, high, count=None):
    """A whole number from low to high, both included, or a tuple of some."""
    return int(rng.integers(low, high + 1)) if count is None else tuple(rng.integers(low, high + 1, count).tolist())


def one_of(rng, *choices):
    return choices[rng.integers(len(choices))]


def real(rng, low, high):
    """A number with few digits."""
    return round(float(rng.uniform(low, high)), 3)


def draw_convolution(rng):
    kernel, stride, dilation = between(rng, 1, 5, 2), between(rng, 1, 3, 2), between(rng, 1, 2, 2)
    groups = one_of(rng, 1, 1, 2, 3, between(rng, 2, 20))
    c, k = (groups * m for m in one_of(rng, (1, 1), (1, 2), between(rng, 1, 20 // groups + 1, 2)))
    padding = one_of(rng, 0, between(rng, 0, 3), between(rng, 0, 3, 2), between(rng, 0, 3, 4), "same")
    if padding == "same":
        stride = (1, 1)
    spans = (d * (size - 1) + 1 for size, d in zip(kernel, dilation, strict=True))
    h, w = (span + between(rng, 0, 9) for span in spans)
    shapes = {"x": (between(rng, 1, 9), c, h, w), "w": (k, c // groups, *kernel)}
    if rng.random() < 0.6:
        shapes["b"] = (k,)
    return shapes, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def draw_linear(rng):
    n, features, out = between(rng, 1, 40), *one_of(rng, between(rng, 1, 40, 2), between(rng, 100, 200, 2))
    return {"x": (n, features), "w": (out, features)} | one_of(rng, {}, {"b": (out,)}), {}


def draw_matmul(rng):
    n, k, m = between(rng, 1, 40), *one_of(rng, between(rng, 1, 40, 2), between(rng, 100, 200, 2))
    return {"a": (n, k), "b": (k, m)}, {}


def draw_window(rng, dilated):
    kernel, dilation = between(rng, 1, 4, 2), between(rng, 1, 1 + dilated, 2)
    padding = tuple(between(rng, 0, size // 2) for size in kernel)
    # in no window may all be padding: PyTorch then writes its gradient anywhere
    h, w = (
        max(2, d * (k - 1) + 1 - 2 * p) + between(rng, 0, 9) for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    shapes = {"x": (between(rng, 1, 9), between(rng, 1, 20), h, w)}
    stride = one_of(rng, None, between(rng, 1, 4), between(rng, 1, 4, 2))
    return shapes, {"kernel_size": kernel, "stride": stride, "padding": padding} | (
        {"dilation": dilation} if dilated else {"count_include_pad": bool(rng.random() < 0.5)}
    ) | {"ceil_mode": bool(rng.random() < 0.5)}


def draw_shape(rng):
    return tuple(between(rng, 1, 9) for _ in range(between(rng, 1, 5)))


def draw_options(rng, operation):
    return {name: real(rng, *limits) for name, limits in operation.ranges.items()}


def draw_activation(operation):
    return lambda rng: ({"x": draw_shape(rng)}, draw_options(rng, operation))


def draw_softmax(rng):
    shape = draw_shape(rng)
    return {"x": (*shape, between(rng, 2, 40))}, {"dim": between(rng, -len(shape) - 1, len(shape))}


def draw_batch_norm(rng):
    shape = one_of(rng, (between(rng, 8, 60), between(rng, 1, 40)), (between(rng, 4, 9), *between(rng, 2, 9, 3)))
    options = {"affine": bool(rng.random() < 0.7), "training": bool(rng.random() < 0.6), "momentum": real(rng, 0, 1)}
    return {"x": shape}, options | {"eps": one_of(rng, 1e-5, 1e-3, 1e-2)}


def draw_loss(loss):
    def draw(rng):
        options = {"target": one_of(rng, *loss.targets), "sample_weight": bool(rng.random() < 0.4)}
        if ("weight",) in loss.options:
            options["weight"] = bool(rng.random() < 0.5)
        if ("label_smoothing",) in loss.options:
            options["label_smoothing"] = one_of(rng, 0.0, real(rng, 0, 1))
        return {"x": (between(rng, 1, 40), between(rng, 2, 40))}, options

    return draw


def draw_update(rng):
    decay, momentum = one_of(rng, 0.0, real(rng, 0.01, 0.5)), one_of(rng, 0.0, real(rng, 0.1, 0.95))
    # of a gradient that cancels, a step is as wrong as the rounding of the gradient beside eps
    lr, eps = real(rng, 0.001, 0.1), one_of(rng, 1e-3, 1e-2)
    betas = real(rng, 0.5, 0.95), real(rng, 0.8, 0.999)
    optimizer = one_of(
        rng,
        pm.SGD(lr, momentum, momentum > 0 and bool(rng.random() < 0.5), decay),
        pm.Adam(lr, betas, eps, decay),
        pm.AdamW(lr, betas, eps, decay),
        pm.RMSprop(lr, real(rng, 0.8, 0.99), eps, decay, momentum, bool(rng.random() < 0.5)),
        pm.Adagrad(lr, real(rng, 0, 0.5), decay, one_of(rng, 0.0, real(rng, 0, 1)), eps),
    )
    shape = one_of(rng, draw_shape(rng), (between(rng, 300, 20_000),))
    clip_norm = one_of(rng, None, real(rng, 0.1, 2) * float(np.sqrt(np.prod(shape))))
    return {"weights": shape}, {"optimizer": optimizer, "clip_norm": clip_norm, "steps": between(rng, 2, 5)}


def draw_block(rng):
    """A convolution, batch norm or not, an activation and a pool, in two orders."""
    shapes, options = draw_convolution(rng)
    shape, (k, *filters), kernel = shapes["x"], shapes["w"], shapes["w"][2:]
    # before batch norm, a filter of few weights has no gradient but rounding errors
    normed = bool(rng.random() < 0.5) and np.prod(filters) >= 4
    layers = [pm.Conv2d(k, kernel, **options, bias="b" in shapes)]
    _, h, w = layers[0].output_shape(shape[1:])
    size = between(rng, 1, min(3, h)), between(rng, 1, min(3, w))
    pools = [pm.AvgPool2d(size)]
    kinks, activations = [], []
    for operation in operations.ACTIVATIONS.values():
        (kinks if operation.kink else activations).append(operation.layer(**draw_options(rng, operation)))
    if normed:  # what was normalized is not exact: no kinks, no choice, and many numbers to a channel
        layers += [pm.BatchNorm2d(eps=one_of(rng, 1e-3, 1e-2), momentum=real(rng, 0.05, 0.9))]
        shape = (max(shape[0], 64 // (h * w) + 2), *shape[1:])
    else:
        activations += 2 * kinks
        pools += 2 * [pm.MaxPool2d(size), pm.MaxPool2d(size, one_of(rng, 1, 2), ceil_mode=bool(rng.random() < 0.5))]
    ends = [one_of(rng, *activations), one_of(rng, *pools)]
    return {"x": shape}, {"layers": layers + ends[:: one_of(rng, 1, -1)][: one_of(rng, 1, 2, 2)]}


# operation: its share, how its configurations are drawn and checked
OPERATIONS = {
    "conv2d": (8, draw_convolution, check_function),
    "block": (8, draw_block, check_block),
    "linear": (2, draw_linear, check_function),
    "matmul": (1, draw_matmul, check_function),
    "max_pool2d": (4, lambda rng: draw_window(rng, dilated=True), check_function),
    "avg_pool2d": (4, lambda rng: draw_window(rng, dilated=False), check_function),
    "global_avg_pool2d": (1, lambda rng: ({"x": between(rng, 1, 12, 4)}, {}), check_function),
    "batch_norm": (3, draw_batch_norm, check_batch_norm),
    **{name: (1, draw_activation(operation), check_function) for name, operation in operations.ACTIVATIONS.items()},
    **{name: (1, draw_softmax, check_function) for name in operations.SOFTMAXES},
    **{name: (len(loss.options), draw_loss(loss), check_loss) for name, loss in operations.LOSSES.items()},
    "update": (5, draw_update, check_update),
}
SHARES = [name for name, (share, _, _) in OPERATIONS.items() for _ in range(share)]


def configuration(number):
    """The configuration of this number, from 0 on."""
    rng = np.random.default_rng([SEED, number])
    operation = SHARES[number % len(SHARES)]
    dtype = one_of(rng, "float32", "float64")
    integers = operation in EXACT and bool(rng.random() < 0.5)
    return Configuration(operation, dtype, number, *OPERATIONS[operation][1](rng), integers)


def check(c):
    """AssertionError where PyTorch gives something else."""
    OPERATIONS[c.operation][2](c, np.random.default_rng(c.seed))


def failure(c):
    """What `check` says, or None."""
    try:
        check(c)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


# ---- tests ------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the network takes:pymnistcnn.DataWarning")  # a shape may look like channels last
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_same_as_pytorch(chunk):
    for number in range(CHUNK * chunk, CHUNK * (chunk + 1)):
        c = configuration(number)
        problem = failure(c)
        assert problem is None, f"{problem}\nin configuration({number}):\n    check({c!r})"


def test_there_are_enough_configurations_of_every_kind():
    all_of_them = [configuration(number) for number in range(CHUNKS * CHUNK)]
    assert len({repr(c) for c in all_of_them}) >= 2000
    counts = Counter((c.operation, c.dtype) for c in all_of_them)
    assert len(counts) == 2 * len(OPERATIONS) and min(counts.values()) >= 10
    exact = Counter(c.operation for c in all_of_them if c.integers)
    assert set(exact) == EXACT and min(exact.values()) >= 10
    convolutions = [c for c in all_of_them if c.operation == "conv2d"]
    depthwise = [c for c in convolutions if c.options["groups"] == c.shapes["x"][1] == c.shapes["w"][0] > 1]
    assert len(depthwise) >= 20 and sum(c.options["padding"] == "same" for c in convolutions) >= 20


def test_a_printed_configuration_can_be_pasted():
    names = {name: getattr(pm, name) for name in pm.__all__} | {"Configuration": Configuration}
    for number in range(2 * len(SHARES)):
        printed = repr(configuration(number))
        assert repr(eval(printed, names)) == printed


@pytest.mark.parametrize("operation", ["relu", "conv2d"])
def test_what_is_wrong_is_found(operation, monkeypatch):
    c = next(c for c in map(configuration, range(1000)) if c.operation == operation and c.dtype == "float64")
    check(c)
    theirs = THEIRS[operation]
    monkeypatch.setitem(THEIRS, operation, lambda *arrays, **options: theirs(*arrays, **options) * (1 + 1e-9))
    with pytest.raises(AssertionError, match="on portable: AssertionError: y is off by"):
        check(c)
