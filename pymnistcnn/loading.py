"""Models from files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import files
from ._types import Array, DTypeLike, Shape, StrPath
from .architecture import UnknownLayer, checked_own_layers, layer_of, parameter_names
from .checkpoints import TRAINING
from .checks import checked_dtype, checked_shape
from .ensemble import MODELS, MOVES, SHIFT, Ensemble
from .files import FORMAT, check_shapes
from .layers import Layer
from .model import Sequential
from .network import lowered, shapes_through
from .placing import bytes_of

__all__ = ["load"]

MOST_LAYERS, MOST_MODELS = 10_000, 1000  # of a file


def load(
    path: StrPath, *, max_bytes: int = 2**30, max_work: int = 10**11, own_layers: Iterable[type[Layer]] = ()
) -> Sequential | Ensemble:
    """The model that `Sequential.save`, or a Checkpoint, wrote, ready to predict or to train on; or the ensemble that
    `Ensemble.save` wrote.

    max_bytes, max_work : what predicting one sample may take, in bytes of memory and in numbers read: a small file
        may describe a huge network, and nothing is computed before that is known. Each model of an ensemble may take
        all of the bytes, and its share of the work, which is that of each picture it looks at, moved or not
    own_layers : the classes, each a `PythonLayer`, of layers of one's own

    ValueError if the file is damaged, not one of ours, or of a network that takes more.

    Examples
    --------
    >>> import pymnistcnn as pm, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "tiny.safetensors")
    >>> pm.Sequential([pm.Linear(2)], input_shape=(3,)).save(path)
    >>> pm.load(path).layers
    [Linear(2)]
    """
    own = checked_own_layers(own_layers)
    description, state = files.read(path)
    try:
        what = ensemble_of if MODELS in description else model_of
        return what(description, state, max_bytes, max_work, own)
    except UnknownLayer as error:
        raise ValueError(f"{path}: {files.brief(error)}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: its description of the network cannot be read: {files.brief(error)}") from None


def check_budget(layers: Sequence[Layer], shape: Shape, dtype: DTypeLike, max_bytes: int, max_work: int) -> None:
    """ValueError if predicting a sample takes more than it may; nothing is allocated."""
    work = sum(layer.work(before) for layer, before in zip(layers, shapes_through(layers, shape), strict=False))
    needed = bytes_of(lowered(layers, shape, inference=True), dtype)
    for what, much, most, name in (("bytes", needed, max_bytes, "max_bytes"), ("numbers", work, max_work, "max_work")):
        if much > most:
            raise ValueError(f"predicting a sample takes {much:,} {what}, more than {most:,}: see {name} of pm.load")


def model_of(
    description: dict[str, Any],
    state: Mapping[str, Array],
    max_bytes: int,
    max_work: int,
    own_layers: Iterable[type[Layer]],
) -> Sequential:
    """The network that a file's metadata describes. Its sizes are held against the weights that there are
    before any memory is taken. Of a checkpoint, only the weights and the seed are of interest."""
    seed = 0
    if TRAINING in description:
        seed = description.pop(TRAINING)["settings"]["seed"]
        state = {name: array for name, array in state.items() if not name.startswith(f"{TRAINING}.")}
    notes = description.pop("notes", {})
    if description.keys() != {"dtype", "format", "input_shape", "layers"} or description["format"] != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}, the one that this version reads")
    if len(description["layers"]) > MOST_LAYERS:
        raise ValueError(f"it has {len(description['layers']):,} layers, more than {MOST_LAYERS:,}")
    layers = [layer_of(dict(settings), own_layers) for settings in description["layers"]]
    shape, dtype = checked_shape(description["input_shape"]), checked_dtype(description["dtype"])
    check_budget(layers, shape, dtype, max_bytes, max_work)
    parameters = lowered(layers, shape).parameters
    names = parameter_names(layers, parameters)
    check_shapes({name: p.shape for name, p in zip(names, parameters, strict=True)}, state)
    model = Sequential(layers, shape, seed, description["dtype"])
    model.load_state_dict(state)
    model.notes = dict(notes)
    return model


def ensemble_of(
    description: dict[str, Any],
    state: Mapping[str, Array],
    max_bytes: int,
    max_work: int,
    own_layers: Iterable[type[Layer]],
) -> Ensemble:
    """The ensemble that a file's metadata describes."""
    described = description[MODELS]
    if description.keys() - {SHIFT} != {"format", MODELS} or description["format"] != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}, the one that this version reads")
    if not isinstance(described, list) or not 0 < len(described) <= MOST_MODELS:
        raise ValueError(f"an ensemble has a list of 1 to {MOST_MODELS:,} models")
    states: list[dict[str, Array]] = [{} for _ in described]
    numbers = {str(number): own for number, own in enumerate(states)}
    for name, array in state.items():
        number, _, rest = name.partition(".")
        if number not in numbers:
            raise ValueError(f"{name} is of none of its {len(described)} models")
        numbers[number][rest] = array
    shift = description.get(SHIFT, 0)
    share = max_work // (len(described) * (1 + len(MOVES) if shift else 1))
    pairs = zip(described, states, strict=True)
    models = [model_of(dict(one), own, max_bytes, share, own_layers) for one, own in pairs]
    return Ensemble(models, shift=shift)
