"""A network's layers as what JSON can say, and back; the names of its weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import layers as layer_classes
from .checks import shown
from .layers import Layer
from .layers.residual import named_leaves


class UnknownLayer(ValueError):
    """A file's layer that is not among the library's."""


def described(value: Any) -> Any:
    """A layer's class and settings, those of layers inside, too; other values as they are."""
    if isinstance(value, Layer):
        return {"class": type(value).__name__, **{name: described(v) for name, v in value.settings().items()}}
    return [described(v) for v in value] if isinstance(value, list) else value


def layer_of(value: Any, own_layers: Iterable[type[Layer]] = ()) -> Any:
    """What `described` was given, from a file; own_layers: other classes than the library's, by name."""
    if isinstance(value, list):
        return [layer_of(v, own_layers) for v in value]
    if not isinstance(value, dict) or "class" not in value:
        return value
    settings = {name: layer_of(v, own_layers) for name, v in value.items() if name != "class"}
    name = str(value["class"])
    kind = own_layers[name] if name in own_layers else getattr(layer_classes, name, None)
    if not isinstance(kind, type) or not issubclass(kind, Layer) or kind is Layer:
        raise UnknownLayer(
            f"there is no layer {shown(value['class'])}; if it is one of your own, a PythonLayer, load this model in "
            f"Python: pm.load(path, own_layers=[Class]). Commands only know the layers of pymnistcnn"
        )
    return kind(**settings)


def parameter_names(layers: Any, parameters: list[Any]) -> list[str]:
    """PyTorch's names of a Sequential's parameters; layers that PyTorch has not do not count."""
    names = [name for name, _ in named_leaves(layers)]
    return [f"{names[p.layer]}.{p.name}" for p in parameters]


def checked_own_layers(own_layers: Any) -> dict[str, type]:
    """Classes of layers by name."""
    kinds = list(own_layers) if isinstance(own_layers, Iterable) else [own_layers]
    if not all(isinstance(kind, type) and issubclass(kind, Layer) for kind in kinds):
        raise ValueError(f"own_layers must be a list of classes of layers, such as [Scale], not {shown(own_layers)}")
    return {kind.__name__: kind for kind in kinds}
