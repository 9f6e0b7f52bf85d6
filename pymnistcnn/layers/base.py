"""What a layer is."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from .._types import Array, ArrayLike, DTypeLike, Shape
from ..checks import shown
from ..network import Network, dtype_for
from ..stepping import runner_of
from ..target import target_of

__all__ = ["Layer"]

Needs: TypeAlias = tuple[int, str] | None
PICTURES: Needs = 3, "pictures (channels, height, width), not {}"
INPUT_SIZES = frozenset({"in_channels", "in_features", "num_features"})  # that PyTorch's layers take
FEATURES: Needs = 1, "features (n,), not {}: put Flatten() before it"
BUILT = ("_network", "_in_model")  # what building adds to a layer


class Layer:
    """A layer is fields and two short methods, `output_shape` and `lower`; the rest is here.

    By hand, `forward` makes the layer's weights from the first input's shape (or call `build`), `backward`
    gives the gradient of the inputs and fills `gradients`.
    """

    needs: ClassVar[Needs] = None  # the rank of samples, and the words for those of another
    in_python: ClassVar[bool] = False  # does Python compute it, or C?
    in_pytorch: ClassVar[bool] = True  # does it count in the names of state_dict?
    _network: Network | None = None  # of this layer alone; in a model it shares the model's weights
    _in_model: bool = False

    def __new__(cls, *by_position: Any, **by_name: Any) -> Self:
        if "__dataclass_fields__" in vars(cls):
            refuse_input_sizes(cls, by_position, by_name)
        return super().__new__(cls)

    def output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """The shape of one sample after this layer; ValueError if `shape` does not fit."""
        if self.needs is not None and len(shape) != self.needs[0]:
            raise ValueError(f"{type(self).__name__} needs {self.needs[1].format(shape)}")
        return shape

    def __repr__(self) -> str:
        """As one would write it: what has no default by position, what differs from its default by name."""
        shown = []
        for f in fields(self):
            value = getattr(self, f.name)
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if isinstance(value, tuple) and len(set(value)) == 1:
                value = value[0]
            if default is MISSING:
                shown.append(f"{value!r}")
            elif value != default:
                shown.append(f"{f.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def lower(self, builder: Any) -> None:
        """Tell a plan.PlanBuilder what this layer does."""
        raise NotImplementedError

    def leaves(self) -> list[tuple[str, Layer]]:
        """The layers inside, by their names behind this one's in `state_dict`: a layer that holds none is its own."""
        return [("", self)]

    def inside(self, shape: Shape) -> list[tuple[Layer, tuple[Any, ...]]]:
        """The layers that this one holds, with the shapes that they get where it gets `shape`."""
        return []

    def ways(self) -> tuple[list[Layer], list[Layer]] | None:
        """The layers whose outputs this one adds up, if it is one that does."""
        return None

    def initialize(self, name: str, rng: np.random.Generator, weight_shape: Shape) -> Array:
        """The first values of a parameter."""
        if name == "bias":
            return self.initializer.bias(weight_shape, rng)
        return self.initializer(weight_shape, rng)

    def multiply_adds(self, shape: Shape) -> int:
        """Multiplications for one sample of input shape `shape`, forward."""
        return 0

    def work(self, shape: Shape) -> int:
        """Numbers that a forward pass of one sample reads and multiplies, about."""
        return max(math.prod(shape), self.multiply_adds(shape))

    def settings(self) -> dict[str, Any]:
        """The fields, by name, that say what the layer computes: all but the initializer."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "initializer"}

    # ---- copies ----

    def unbuilt(self) -> Layer:
        """A new layer of the same settings: in no model, without weights; so are those inside."""
        new = object.__new__(type(self))
        vars(new).update({name: unbuilt(value) for name, value in vars(self).items() if name not in BUILT})
        return new

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy, which is in no model, and built if this layer is."""
        return vars(self.unbuilt()) | {"_network": self._network}

    # ---- by hand ----

    def build(self, input_shape: Shape, dtype: DTypeLike = "float32", seed: int = 0) -> Self:
        """Make this layer's weights for inputs (n, *input_shape); returns the layer."""
        if self._in_model:
            raise ValueError(f"{self} belongs to a model, which has built it")
        self._network = self._alone(input_shape, dtype, seed)
        return self

    def _alone(self, shape, dtype, seed=0):
        """A network of a layer like this one: were it of this one, each would keep the other in memory."""
        return Network([self.unbuilt()], shape, dtype, seed)

    def forward(
        self, x: ArrayLike, training: bool = True, *, threads: int | None = None, isa: str | None = None
    ) -> np.ndarray:
        """y for x (n, ...). With `training`, what `backward` needs is kept and dropout is on."""
        x = np.asarray(x)
        dtype = dtype_for(x)
        network = self._network
        if network is None:
            network = self._alone(x.shape[1:], dtype)
            network.inputs(x)  # what is refused must leave no trace
            self._network = network
        elif not self._in_model and (network.input_shape != x.shape[1:] or network.dtype != dtype):
            network = self._rebuilt(x.shape[1:], dtype)
        return runner_of(network).forward(x, training, target_of(isa), threads)

    def backward(self, dy: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> np.ndarray:
        """dx for dy, the gradient of the last forward's y. RuntimeError without that forward's state."""
        if self._network is None:
            raise RuntimeError("backward needs the state of a forward pass: forward was not called")
        return runner_of(self._network).backward(dy, isa and target_of(isa), threads)

    def _rebuilt(self, shape: Shape, dtype: DTypeLike) -> Any:
        """For another picture size or dtype; the weights stay."""
        old = self._network
        new = self._alone(shape, dtype, old.seed)
        if [p.shape for p in new.parameters] != [p.shape for p in old.parameters]:
            raise ValueError(f"{self} was built for inputs (n, {old.input_shape}), not (n, {tuple(shape)})")
        for to, weights in zip(new.views(new.param), old.views(old.param), strict=True):
            to[...] = weights
        self._network = new
        return new

    def _named(self, flat: str, trained: bool) -> dict[str, Array]:
        network = self._network
        if network is None:
            return {}
        flat, leaves = getattr(network, flat), network.layers[0].leaves()
        names = (f"{name}.".lstrip(".") for name, _ in leaves)
        prefix = dict(enumerate(names, network.first_layer))
        return {prefix[p.layer] + p.name: p.view(flat) for p in network.parameters if p.trained == trained}

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Weights by name, in PyTorch's shapes: views, so that writing to them sets the weights."""
        return self._named("param", trained=True)

    @property
    def buffers(self) -> dict[str, np.ndarray]:
        """What is learnt without a gradient, by name, such as running means: views."""
        return self._named("param", trained=False)

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of the last backward, by name, like `parameters`."""
        return self._named("gradient", trained=True)


def unbuilt(value: Any) -> Any:
    """A layer, or each of a list of them, as `Layer.unbuilt`; anything else as it is."""
    if isinstance(value, Layer):
        return value.unbuilt()
    return [unbuilt(v) for v in value] if isinstance(value, list) else value


@cache
def positional(kind: type[Layer]) -> list[str]:
    """The fields of a layer's class that may be given by position."""
    return [f.name for f in fields(kind) if f.init and not f.kw_only]


def refuse_input_sizes(kind: type[Layer], by_position: tuple[Any, ...], by_name: dict[str, Any]) -> None:
    """TypeError for what PyTorch's layers are given and these are not: sizes of their inputs."""
    taken = positional(kind)
    sizes = INPUT_SIZES & by_name.keys() - kind.__dataclass_fields__.keys()
    if sizes or len(by_position) > len(taken):
        given = ", ".join(sorted(sizes) or map(shown, by_position))
        raise TypeError(
            f"{kind.__name__} takes ({', '.join(taken)}) by position and all else by name, not ({given}): "
            "sizes of inputs are inferred"
        )
