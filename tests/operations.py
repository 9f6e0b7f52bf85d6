"""The operations that tests go through, as data: their lists of names follow from here.

An operation's name is that of its function in pymnistcnn.functional and of its reference, whose gradients are
`name_backward`. A new activation is a line in ACTIVATIONS.
"""

from dataclasses import dataclass, field
from pkgutil import resolve_name

import numpy as np
import reference

import pymnistcnn as pm
from pymnistcnn import functional


class Named:
    """What goes by the same name in pymnistcnn.functional and in the reference."""

    name: str

    def __str__(self):
        return self.name

    @property
    def function(self):
        return getattr(functional, self.name)

    @property
    def backward(self):
        return getattr(functional, f"{self.name}_backward")

    @property
    def reference(self):
        return getattr(reference, self.name)

    @property
    def reference_backward(self):
        return getattr(reference, f"{self.name}_backward")


@dataclass(frozen=True)
class Operation(Named):
    """A function of arrays, and the layer that does the same.

    Parameters
    ----------
    layer : its class; None if there is none
    pytorch : path of PyTorch's function
    fixed : what PyTorch's function takes besides
    options : sets of options that tests go through
    exact : those of them with which results, of small whole numbers, are not rounded
    ranges : (low, high) of options that are drawn
    kink : whether the slope jumps somewhere, so that the sign of a rounding error decides
    monotone : whether it may be part of a convolution that a max-pool follows
    from_y : whether that holds in training, too, where its gradient is computed from its output
    everywhere : whether it is tried in a block with every convolution, and not with a few
    """

    name: str
    layer: type | None
    pytorch: str
    fixed: dict = field(default_factory=dict)
    options: tuple[dict, ...] = ({},)
    exact: tuple[dict, ...] = ()
    ranges: dict = field(default_factory=dict)
    kink: bool = False
    monotone: bool = True
    from_y: bool = True
    everywhere: bool = False

    def in_pytorch(self, *arrays, **options):
        return resolve_name(self.pytorch)(*arrays, **self.fixed, **options)


@dataclass(frozen=True)
class Loss(Named):
    """A loss.

    Parameters
    ----------
    loss : its class
    targets : what it takes: labels, distributions over the classes, numbers
    options : sets of names of options that tests go through; their values are in `loss_options`
    after : name of the softmax whose outputs it takes
    """

    name: str
    loss: type
    targets: tuple[str, ...]
    options: tuple[tuple[str, ...], ...] = ((),)
    after: str | None = None


def by_name(*operations):
    return {operation.name: operation for operation in operations}


TF = "torch.nn.functional"
ACTIVATIONS = by_name(
    Operation("relu", pm.ReLU, f"{TF}.relu", exact=({},), kink=True, everywhere=True),
    Operation("tanh", pm.Tanh, "torch.tanh", everywhere=True),
    Operation(
        "leaky_relu",
        pm.LeakyReLU,
        f"{TF}.leaky_relu",
        options=({}, {"negative_slope": 0.25}, {"negative_slope": 0.0}),
        exact=({"negative_slope": 0.25}, {"negative_slope": 0.0}),
        ranges={"negative_slope": (0, 1)},
        kink=True,
    ),
    Operation("elu", pm.ELU, f"{TF}.elu", options=({}, {"alpha": 0.5}), ranges={"alpha": (0.1, 2)}, from_y=False),
    Operation("sigmoid", pm.Sigmoid, "torch.sigmoid"),
    Operation(
        "softplus",
        pm.Softplus,
        f"{TF}.softplus",
        options=({}, {"beta": 2.0}, {"beta": 0.5, "threshold": 15.0}),
        ranges={"beta": (0.2, 3)},
        monotone=False,
    ),
    Operation("gelu", pm.GELU, f"{TF}.gelu", options=({}, {"approximate": "tanh"}), monotone=False),
    Operation("silu", pm.SiLU, f"{TF}.silu", monotone=False),
    Operation("hardswish", pm.Hardswish, f"{TF}.hardswish", monotone=False),
)
SOFTMAXES = by_name(
    Operation("softmax", pm.Softmax, f"{TF}.softmax"),
    Operation("log_softmax", pm.LogSoftmax, f"{TF}.log_softmax"),
)
PRODUCTS = by_name(
    Operation("conv2d", pm.Conv2d, f"{TF}.conv2d", exact=({},)),
    Operation("linear", pm.Linear, f"{TF}.linear", exact=({},)),
    Operation("matmul", None, "torch.matmul", exact=({},)),
)
POOLS = by_name(
    Operation("max_pool2d", pm.MaxPool2d, f"{TF}.max_pool2d", exact=({},)),
    Operation("avg_pool2d", pm.AvgPool2d, f"{TF}.avg_pool2d"),
    Operation("global_avg_pool2d", pm.GlobalAvgPool2d, f"{TF}.adaptive_avg_pool2d", fixed={"output_size": 1}),
)
ALL = ACTIVATIONS | SOFTMAXES | PRODUCTS | POOLS
LOSSES = by_name(
    Loss(
        "cross_entropy",
        pm.CrossEntropyLoss,
        ("labels", "distributions"),
        ((), ("label_smoothing",), ("weight",), ("weight", "label_smoothing")),
    ),
    Loss("nll_loss", pm.NLLLoss, ("labels",), ((), ("weight",)), after="log_softmax"),
    Loss("mse_loss", pm.MSELoss, ("numbers",)),
    Loss("expected_probability_loss", pm.ExpectedProbabilityLoss, ("labels", "numbers"), after="softmax"),
)

# what tests are parametrized with: an activation and options, a loss and names of options and a kind of targets
ACTIVATION_CASES = [(operation, options) for operation in ACTIVATIONS.values() for options in operation.options]
LOSS_CASES = [(o, names, targets) for o in LOSSES.values() for names in o.options for targets in o.targets]


def loss_options(names, classes) -> dict:
    """Options of a loss, by name. One of the classes counts nothing."""
    weight = np.linspace(0.5, 2, classes)
    weight[classes // 2] = 0
    return {name: {"weight": weight, "label_smoothing": 0.2}[name] for name in names}
