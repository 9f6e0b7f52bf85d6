"""Ensembles: several networks that answer as one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from . import files
from ._types import Array, ArrayLike, StrPath
from .checks import instance, whole
from .datasets import Dataset
from .files import FORMAT
from .model import Evaluation, Sequential, both_of
from .predictor import classes_of, log_probabilities_of

__all__ = ["Ensemble"]

MODELS, SHIFT = "ensemble", "shift"  # in a file's description
MOVES = ((0, 1), (2, 1), (1, 0), (1, 2))  # of a picture, down and across, from (1, 1), where it is


class Ensemble:
    """Several networks that answer as one: what is likely to them is the mean of the probabilities that each gives.

    So one that is sure counts for more than one that is not, as it would not in a vote; and one that is far too sure of
    a mistake cannot outweigh all others, as it can where logits are averaged. Of 10,000 test images, four ensembles of
    five networks of the recipe `fast`, on a third of MNIST, took 146 wrong, 152 by votes, each network alone 177.

    Parameters
    ----------
    models : Sequential, one or more, that take inputs of one shape and tell the same classes apart, with one dtype.
        ValueError for others
    shift : each picture is also looked at moved by so many pixels up, down, left and right, with the pixels of its
        border repeated there: test-time augmentation, of one model, too. It takes five times as long. ValueError if
        inputs are no pictures (c, h, w), or smaller

    `models` has them, as a tuple. They are computed one after the other, each on all threads.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> results = pm.train_many("fast", range(3), train[:2000], progress=False)
    >>> ensemble = pm.Ensemble([trained.model for trained in results])
    >>> ensemble.predict(test.images[:5]).shape
    (5,)
    >>> ensemble.save("ensemble.safetensors")
    >>> pm.load("ensemble.safetensors")
    Ensemble of 3 models, input_shape=(1, 28, 28), output_shape=(10,)
    """

    models: tuple[Sequential, ...]
    shift: int

    def __init__(self, models: Iterable[Sequential], *, shift: int = 0) -> None:
        self.models = tuple(instance("models", models, Iterable, "a list of models"))
        if not self.models:
            raise ValueError("an ensemble needs at least one model")
        for model in self.models:
            instance("models", model, Sequential, "models, such as pm.load(path)")
        first = self.models[0]
        if len(first.output_shape) != 1 or first.output_shape == (1,):
            raise ValueError(
                f"an ensemble is of models that tell classes apart, not of outputs of shape {first.output_shape}"
            )
        for name in ("input_shape", "output_shape", "dtype", "classes"):
            for model in self.models:
                one, other = getattr(first, name), getattr(model, name)
                if one != other:
                    raise ValueError(f"the models of an ensemble must have the same {name}, not {one} and {other}")
        self.shift = whole("shift", shift, 0)
        if self.shift and (len(first.input_shape) != 3 or self.shift >= min(first.input_shape[1:])):
            raise ValueError(f"shift={shift}: inputs of shape {first.input_shape} cannot be moved so far")

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.models[0].input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.models[0].output_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.models[0].dtype

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, by label, or None: those of the models."""
        return self.models[0].classes

    @property
    def notes(self) -> dict[str, Any]:
        """Those notes that all models have alike."""
        first, *others = (model.notes for model in self.models)
        return {name: note for name, note in first.items() if all(other.get(name) == note for other in others)}

    def __len__(self) -> int:
        return len(self.models)

    def __repr__(self) -> str:
        shapes = f"input_shape={self.input_shape}, output_shape={self.output_shape}"
        return f"Ensemble of {len(self)} models, {shapes}" + (f", shift={self.shift}" if self.shift else "")

    # ---- use ----

    def predict(
        self,
        inputs: Dataset | ArrayLike,
        *,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> np.ndarray:
        """The most probable class (n,) for each of inputs (n, *input_shape), or of a Dataset. ValueError where an
        output is NaN."""
        return classes_of(self._logs(inputs, threads=threads, isa=isa, device=device, precision=precision))

    def predict_proba(
        self,
        inputs: Dataset | ArrayLike,
        *,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> np.ndarray:
        """Probabilities (n, classes): the means of the models'."""
        return np.exp(self._logs(inputs, threads=threads, isa=isa, device=device, precision=precision)).astype(
            self.dtype
        )

    def predict_outputs(
        self,
        inputs: Dataset | ArrayLike,
        *,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> np.ndarray:
        """The logarithms of the probabilities (n, classes): logits, as softmax makes the probabilities of them."""
        return self._logs(inputs, threads=threads, isa=isa, device=device, precision=precision).astype(self.dtype)

    __call__ = predict_outputs

    def evaluate(
        self,
        x: Dataset | tuple[ArrayLike, ArrayLike] | ArrayLike,
        y: ArrayLike | None = None,
        *,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> Evaluation:
        """Accuracy and mean cross entropy on inputs and labels, or on a Dataset or a pair of both."""
        inputs, labels = (x, y) if y is not None else both_of(x, "data")
        logs = self._logs(inputs, threads=threads, isa=isa, device=device, precision=precision)
        labels = self.models[0].network.class_labels(labels, len(logs))
        right = (logs.argmax(axis=1) == labels) & ~np.isnan(logs).any(axis=1)
        return Evaluation(float(right.mean()), float(-logs[np.arange(len(labels)), labels].mean()), len(labels))

    def score(
        self,
        x: Dataset | tuple[ArrayLike, ArrayLike] | ArrayLike,
        y: ArrayLike | None = None,
        *,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> float:
        """Accuracy on inputs and labels, or on a Dataset or a pair of both."""
        return self.evaluate(x, y, threads=threads, isa=isa, device=device, precision=precision).accuracy

    def _logs(self, inputs: Any, **how: Any) -> Array:
        """Logarithms of the mean probabilities, as float64: so they stay apart where probabilities round to 0 or 1."""
        x = self.models[0].network.inputs(inputs.images if isinstance(inputs, Dataset) else inputs)
        total, summands = None, 0
        for view in self._views(x):
            for model in self.models:
                logs = log_probabilities_of(model.predict_outputs(view, **how).astype(np.float64), model.layers[-1])
                with np.errstate(invalid="ignore"):  # of NaN, NaN
                    total = logs if total is None else np.logaddexp(total, logs)
                summands += 1
        return total - math.log(summands)

    def _views(self, x: Array) -> Iterator[Array]:
        """The inputs, and, where there is a shift, each moved in four directions."""
        yield x
        if self.shift:
            height, width = x.shape[2:]
            wide = np.pad(x, ((0, 0), (0, 0), *[(self.shift, self.shift)] * 2), mode="edge")
            for down, across in MOVES:
                top, left = self.shift * down, self.shift * across
                yield wide[:, :, top : top + height, left : left + width]

    # ---- files ----

    def save(self, path: StrPath) -> None:
        """Write all models to one safetensors file, which `load` reads: each as `Sequential.save` would, its weights by
        their names behind its number, such as "0.1.weight"."""
        arrays = {f"{i}.{name}": w for i, model in enumerate(self.models) for name, w in model.state_dict().items()}
        shift = {SHIFT: self.shift} if self.shift else {}
        models = [model.description() for model in self.models]
        files.write(path, {"format": FORMAT, MODELS: models, **shift}, arrays, self)
