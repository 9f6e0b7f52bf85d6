"""The door to PyTorch: `from_torch`, an nn.Sequential to a model, and `module_of`, back, with structure and weights."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from . import layers
from ._types import Shape, StrPath
from .checks import instance, shown
from .extras import needed
from .layers.residual import named_leaves
from .model import Sequential, array_of
from .network import shapes_through

if TYPE_CHECKING:
    import torch
    from torch import nn

    _Module = object  # type checkers may have no PyTorch, and want a class
else:
    torch = needed("torch", "torch")
    nn = torch.nn
    _Module = nn.Module

__all__ = ["from_torch", "module_of"]

SIDE = 28  # of pictures, if nothing else is said: MNIST's


class Rescaling(_Module):
    """y = x * scale + offset, of pixels, too."""

    scale: float
    offset: float
    dtype: Any

    def __init__(self, scale: float, offset: float = 0.0, dtype: Any = torch.float32) -> None:
        super().__init__()
        self.scale, self.offset, self.dtype = scale, offset, dtype

    def forward(self, x: Any) -> Any:
        return x.to(self.dtype) * self.scale + self.offset

    def extra_repr(self) -> str:
        return f"{self.scale}, {self.offset}"


class Residual(_Module):
    """y = projection(x) + layers(x), with the names that `state_dict` has here."""

    layers: Any
    projection: Any

    def __init__(self, inside: Any, projection: Any = None) -> None:
        super().__init__()
        self.layers, self.projection = inside, projection

    def forward(self, x: Any) -> Any:
        return (x if self.projection is None else self.projection(x)) + self.layers(x)


# ---- to PyTorch ----


def module_of(model: Sequential) -> nn.Sequential:
    """See `Sequential.to_torch`."""
    dtype = getattr(torch, model.dtype.name)
    if python := model.network.python:
        raise ValueError(f"{python[0]} is in Python: it has no form in PyTorch")
    module = sequence(model.layers, model.input_shape, dtype).to(dtype)
    module.load_state_dict({name: torch.tensor(weights) for name, weights in model.state_dict().items()})
    return module.eval()


def sequence(several: Iterable[layers.Layer], shape: Shape, dtype: Any) -> nn.Sequential:
    """Layers one after the other. What PyTorch has not gets names of its own, so that weights keep theirs."""
    module, number = nn.Sequential(), 0
    for index, (layer, before) in enumerate(zip(several, shapes_through(several, shape), strict=False)):
        if isinstance(layer, layers.Rescaling):
            module.add_module(f"rescaling_{index}", Rescaling(layer.scale, layer.offset, dtype))
        if not layer.in_pytorch:
            continue
        if isinstance(layer, layers.Conv2d) and len(padding_of(layer)) == 4:
            top, bottom, left, right = layer.padding
            module.add_module(f"padding_{index}", nn.ZeroPad2d((left, right, top, bottom)))
        module.add_module(str(number), theirs(layer, before, dtype))
        number += 1
    return module


def padding_of(convolution: layers.Conv2d) -> Any:
    return () if convolution.padding == "same" else convolution.padding


@singledispatch
def theirs(layer: layers.Layer, shape: Shape, dtype: Any) -> nn.Module:
    """PyTorch's module for a layer that gets samples of this shape."""
    return getattr(nn, type(layer).__name__)(**layer.settings())


@theirs.register
def _(layer: layers.Conv2d, shape: Shape, dtype: Any) -> Any:
    settings = layer.settings() | ({"padding": 0} if len(padding_of(layer)) == 4 else {})
    return nn.Conv2d(shape[0], **settings)


@theirs.register
def _(layer: layers.Linear, shape: Shape, dtype: Any) -> Any:
    return nn.Linear(shape[0], layer.out_features, layer.bias)


@theirs.register(layers.BatchNorm1d)
@theirs.register(layers.BatchNorm2d)
def _(layer: layers.Layer, shape: Shape, dtype: Any) -> Any:
    return getattr(nn, type(layer).__name__)(shape[0], **layer.settings())


@theirs.register
def _(layer: layers.GlobalAvgPool2d, shape: Shape, dtype: Any) -> Any:
    return nn.AdaptiveAvgPool2d(1)


@theirs.register(layers.Softmax)
@theirs.register(layers.LogSoftmax)
def _(layer: layers.Layer, shape: Shape, dtype: Any) -> Any:
    return getattr(nn, type(layer).__name__)(dim=layer.dim)


@theirs.register(layers.MaxPool2d)
@theirs.register(layers.AvgPool2d)
def _(layer: layers.Layer, shape: Shape, dtype: Any) -> Any:
    if any(2 * side > size for side, size in zip(layer._sides, np.repeat(layer.kernel_size, 2), strict=True)):
        raise ValueError(f"{layer}: PyTorch's pools pad by at most half of the window")
    if layer._sides[::2] != layer._sides[1::2]:
        raise ValueError(f"{layer}: PyTorch's pools pad both sides alike")
    return getattr(nn, type(layer).__name__)(**layer.settings() | {"padding": layer._sides[::2]})


@theirs.register
def _(layer: layers.Residual, shape: Shape, dtype: Any) -> Any:
    inside = layer.inside(shape)[len(layer.layers) :]
    return Residual(sequence(layer.layers, shape, dtype), theirs(*inside[0], dtype) if inside else None)


# ---- from PyTorch ----

ALIKE: dict[type[Any], tuple[str, ...]] = {
    nn.ReLU: (),
    nn.Sigmoid: (),
    nn.Tanh: (),
    nn.SiLU: (),
    nn.Hardswish: (),
    nn.LeakyReLU: ("negative_slope",),
    nn.ELU: ("alpha",),
    nn.Softplus: ("beta", "threshold"),
    nn.GELU: ("approximate",),
    nn.Dropout: ("p",),
    nn.BatchNorm1d: ("eps", "momentum", "affine"),
    nn.BatchNorm2d: ("eps", "momentum", "affine"),
    nn.MaxPool2d: ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    nn.AvgPool2d: ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    nn.Softmax: ("dim",),
    nn.Softmax2d: (),
    nn.LogSoftmax: ("dim",),
    nn.Flatten: (),
}
MUST_BE: dict[str, tuple[Any, ...]] = {
    "start_dim": (1,),
    "end_dim": (-1, 3),
    "return_indices": (False,),
    "divisor_override": (None,),
    "padding_mode": ("zeros",),
    "track_running_stats": (True,),
}


def from_torch(
    module: nn.Module, input_shape: Shape | None = None, *, rescaling: layers.Rescaling | None = None, seed: int = 0
) -> Sequential:
    """The model of a PyTorch `nn.Sequential`, with its weights; of float64, if these are.

    Parameters
    ----------
    module : nn.Sequential of the layers that there are here, and of others; Identity and ZeroPad2d before a
        convolution, too, and the blocks that `to_torch` makes of Residual
    input_shape : of one sample; if not given, that of the first linear layer, or pictures of 28x28
    rescaling : a Rescaling to put before it, such as Rescaling(1 / 255) if it takes numbers from 0 to 1
    seed : as that of Sequential

    ValueError, with the module's name and the reason, for what there is not here; MissingExtra without
    `pip install 'pymnistcnn[torch]'`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> from torch import nn
    >>> pm.from_torch(nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))).layers
    [Linear(32), ReLU(), Linear(10)]
    """
    if not isinstance(module, nn.Sequential):
        raise ValueError(f"module must be an nn.Sequential, not {type(module).__name__}: others come through ONNX")
    if rescaling is not None:
        instance("rescaling", rescaling, layers.Rescaling, "a Rescaling, such as pm.Rescaling(1 / 255)")
    found = list(ours(module, ""))
    weights = [tensor for tensor in module.state_dict().values() if tensor.is_floating_point()]
    dtype = "float64" if any(tensor.dtype == torch.float64 for tensor in weights) else "float32"
    several = [layer for layer, _ in found]
    shape = input_shape_of(module) if input_shape is None else input_shape
    model = Sequential([*([] if rescaling is None else [rescaling]), *several], shape, seed, dtype)
    modules = dict(pair for layer, one in found for pair in leaf_pairs(layer, one))
    state = {}
    for name, leaf in named_leaves(model.layers):
        theirs = modules[leaf].state_dict() if leaf in modules else {}
        state |= {f"{name}.{parameter}": array_of(tensor) for parameter, tensor in theirs.items()}
    model.load_state_dict(state)
    return model


def input_shape_of(module: nn.Module) -> tuple[Any, ...]:
    for one in module.modules():
        if isinstance(one, nn.Linear):
            return (one.in_features,)
        if isinstance(one, nn.Conv2d):
            return (one.in_channels, SIDE, SIDE)
        if isinstance(one, nn.Flatten):
            return (1, SIDE, SIDE)
    raise ValueError("input_shape must be given: nothing in this module tells it")


def ours(sequence: Any, path: StrPath) -> Any:
    """(layer, module) for each module in it, those of others inside it, too."""
    border, seen = None, set()
    for name, module in sequence._modules.items():  # named_children leaves out what is there twice
        name = f"{path}{name}"
        if module in seen and next(module.parameters(), None) is not None:
            raise ValueError(f"{name} ({type(module).__name__}): it is there twice: weights are not shared here")
        seen.add(module)
        if border is not None and not isinstance(module, nn.Conv2d):
            raise ValueError(f"{name} ({type(module).__name__}): ZeroPad2d can only stand before a Conv2d")
        if isinstance(module, nn.Sequential):
            yield from ours(module, f"{name}.")
        elif isinstance(module, nn.ZeroPad2d):
            left, right, top, bottom = module.padding
            border = top, bottom, left, right
        elif not isinstance(module, nn.Identity):
            try:
                yield layer_of(module, border, name), module
            except ValueError as error:
                raise ValueError(f"{name} ({type(module).__name__}): {error}") from None
            border = None
    if border is not None:
        raise ValueError(f"{path}: ZeroPad2d can only stand before a Conv2d")


def layer_of(module: nn.Module, border: Any, name: str) -> Any:
    """Our layer for a module; border: of a ZeroPad2d before it."""
    for setting, allowed in MUST_BE.items():
        if getattr(module, setting, allowed[0]) not in allowed:
            raise ValueError(f"{setting}={getattr(module, setting)!r} there is not here, only {allowed[0]!r}")
    if isinstance(module, nn.Conv2d):
        return layers.Conv2d(
            module.out_channels,
            module.kernel_size,
            stride=module.stride,
            padding=bordered(module, border),
            dilation=module.dilation,
            groups=module.groups,
            bias=module.bias is not None,
        )
    if isinstance(module, nn.Linear):
        return layers.Linear(module.out_features, bias=module.bias is not None)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        if module.output_size not in (1, (1, 1)):
            raise ValueError(f"output_size must be 1, not {shown(module.output_size)}: others come as AvgPool2d")
        return layers.GlobalAvgPool2d()
    if isinstance(module, Rescaling):
        return layers.Rescaling(module.scale, module.offset)
    if isinstance(module, Residual):
        inside = [layer for layer, _ in ours(module.layers, f"{name}.layers.")]
        skip = module.projection and layer_of(module.projection, None, f"{name}.projection")
        return layers.Residual(inside, skip)
    if type(module) not in ALIKE:
        raise ValueError("there is no such layer here")
    settings = {setting: getattr(module, setting) for setting in ALIKE[type(module)]}
    if "stride" in settings and settings["stride"] == settings["kernel_size"]:
        settings["stride"] = None  # which is what it was, as one writes it
    if settings.get("dim", 1) is None:
        settings["dim"] = 1  # what PyTorch takes then of features and of pictures
    return getattr(layers, type(module).__name__.replace("Softmax2d", "Softmax"))(**settings)


def bordered(module: nn.Module, border: Any) -> Any:
    """A convolution's padding, with that of a ZeroPad2d before it."""
    if border is None:
        return module.padding
    if isinstance(module.padding, str):
        raise ValueError(f"padding {module.padding!r} behind a ZeroPad2d there is not here")
    vertical, horizontal = module.padding
    return tuple(a + b for a, b in zip(border, (vertical, vertical, horizontal, horizontal), strict=True))


def leaf_pairs(layer: layers.Layer, module: nn.Module) -> Any:
    """(layer, module) for what has weights of its own, inside of blocks, too."""
    if not isinstance(layer, layers.Residual):
        yield layer, module
        return
    inside = [one for _, one in ours(module.layers, "")]
    parts = zip(layer.layers, inside, strict=True)
    for part in [*parts, *([(layer.projection, module.projection)] if layer.projection is not None else [])]:
        yield from leaf_pairs(*part)
