"""What the tests of ONNX share: every layer with its settings, and what others compute of a file."""

from __future__ import annotations

import itertools

import numpy as np
import operations

import pymnistcnn as pm

PICTURES, FEATURES = (6, 9, 11), (7,)


def windows():
    """Settings of pools: sizes, paddings, dilations, both roundings; those that fit."""
    sizes = [(2, None, 0), (3, 2, 1), (2, 3, 1), ((2, 3), (3, 1), (1, 1)), (4, 3, 2), (3, 4, 0)]
    for (kernel, stride, padding), ceil in itertools.product(sizes, (False, True)):
        yield from (pm.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil) for dilation in (1, 2, (1, 3)))
        yield from (pm.AvgPool2d(kernel, stride, padding, ceil, counts) for counts in (True, False))
    for sides, ceil in itertools.product([(0, 1, 1, 0), (2, 1, 0, 2), (2, 2, 2, 2)], (False, True)):
        yield pm.MaxPool2d(3, 2, sides, ceil_mode=ceil)
        yield from (pm.AvgPool2d(3, 2, sides, ceil, counts) for counts in (True, False))


def convolutions():
    paddings = [0, 2, (0, 1), (1, 2, 0, 3), "same"]
    for kernel, padding, groups in itertools.product([1, 3, (3, 2)], paddings, (1, 2, 6)):
        yield pm.Conv2d(
            6, kernel, stride=1, padding=padding, dilation=1 if groups > 1 else (1, 2), groups=groups, bias=groups != 2
        )
    yield from (pm.Conv2d(4, 3, stride=stride, padding=(1, 0)) for stride in (2, (1, 3)))


def activations():
    for operation, options in operations.ACTIVATION_CASES:
        yield operation.layer(**options)
    yield from (pm.Softplus(2.0, 3.0), pm.Softplus(0.5, -1.0), pm.LeakyReLU(0.3), pm.ELU(0.7), pm.ELU(0.0))


def block(*layers, **options):
    return pm.Residual(list(layers), **options)


def cases():
    """(layer, input shape) of all that there is."""
    pictures = [
        *convolutions(),
        *windows(),
        *(pm.GlobalAvgPool2d(), pm.Flatten(), pm.Dropout(), pm.GaussianNoise(0.1), pm.Augmentation(shift=1)),
        *(pm.Morphology(1), pm.RandomErasing()),
        *(
            pm.BatchNorm2d(),
            pm.BatchNorm2d(eps=1e-3, momentum=None),
            pm.BatchNorm2d(eps=0.1, momentum=0.5, affine=False),
        ),
        *(pm.Rescaling(1 / 255), pm.Rescaling(2.0, -0.5), pm.Rescaling(1.0)),
        block(pm.Conv2d(6, 3, padding=1), pm.BatchNorm2d(), pm.ReLU()),
        block(pm.Conv2d(8, 3, stride=2, padding=1), pm.ReLU(), block(pm.Conv2d(8, 1), pm.Tanh())),
        block(pm.Sigmoid(), pm.Dropout()),
        *(kind(dim) for kind in (pm.Softmax, pm.LogSoftmax) for dim in (1, 2, 3, -1)),
    ]
    features = [pm.Linear(4), pm.Linear(3, bias=False), pm.Softmax(), pm.LogSoftmax(), pm.Flatten(), pm.Rescaling(0.5)]
    features += [
        pm.BatchNorm1d(),
        pm.BatchNorm1d(eps=1e-2, momentum=None, affine=False),
        block(pm.Linear(7)),
        block(pm.Linear(5), pm.SiLU()),
    ]
    features += [block(pm.Linear(7), pm.ReLU(), projection=pm.Linear(7))]
    return [(layer, PICTURES) for layer in [*pictures, *activations()]] + [(layer, FEATURES) for layer in features]


def drawn(model, seed=0):
    """The model, with weights and statistics that differ from each other."""
    rng = np.random.default_rng(seed)
    for name, weights in model.state_dict().items():
        if name.endswith("running_var"):
            weights[...] = rng.uniform(0.5, 2, weights.shape)
        elif not name.endswith("num_batches_tracked"):
            weights[...] = rng.standard_normal(weights.shape) * 0.3
    return model


def samples(model, n=3, seed=1):
    return np.random.default_rng(seed).standard_normal((n, *model.input_shape)).astype(model.dtype)


def by_runtime(content, x):
    """What onnxruntime computes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def by_reference(content, x):
    """What onnx's own evaluator computes."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(onnx.load_from_string(content))
    with np.errstate(all="ignore"):
        return evaluator.run(None, {evaluator.input_names[0]: x})[0]


def off_by(actual, expected):
    """The largest difference, as a share of the largest value."""
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    return np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-30)
