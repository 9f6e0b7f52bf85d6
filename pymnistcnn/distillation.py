"""Distillation (Hinton, Vinyals and Dean, 2015): a network learns from what another one says of each picture, which it
sees augmented as the learner does."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._native import Program
from ._types import Array, ArrayLike, Shape
from .ahead import in_advance
from .callbacks import Callback
from .checkpoints import checksum, described
from .checks import instance, number, shown
from .datasets import Dataset
from .layers import Rescaling, Softmax
from .layers.base import Layer
from .network import EVALUATION_BATCH, Network, Targets
from .sources import Part, count_at_once, epoch_order
from .target import default_target

__all__ = ["Distillation", "MeanTeacher"]

PROBES = 16  # pictures whose answers tell a teacher from another


@dataclass(frozen=True, eq=False)
class Distillation:
    """Pictures, and what a teacher says of them: `student.fit(pm.Distillation(teacher, train))`.

    In every epoch each picture is augmented anew, the teacher is asked, and the student is trained on the same pixels,
    with targets of `alpha` times the label's one-hot vector and 1 - `alpha` times softmax(teacher's outputs /
    `temperature`). That is done in C, some thousand pictures ahead of the training. The student's loss is
    CrossEntropyLoss; validation is of labels, as ever. Training's accuracy counts the largest target. The same seed
    gives the same bits, and a checkpoint can be gone on with anywhere.

    A student learns probabilities that are as soft as its targets: its logits are smaller by about the temperature,
    which `pm.Calibrate` undoes, and its classes are the same.

    Parameters
    ----------
    teacher : a Sequential, a Predictor, or any function that gives logits (n, classes) of inputs (n, *input_shape); or
        a list of several, the mean of whose logits is taken. One that was trained with `fit(..., average=0.99)` is the
        moving average of its weights
    data : a Dataset, or (inputs, labels)
    augmentation : layer, or layers, that both see the pictures through, such as Augmentation(rotation=10): before the
        student's first layer and its Rescaling, so that a shift is in pixels and a noise in grey levels. The student's
        own Augmentation is not seen by the teacher
    alpha : share of the labels, 0 to 1
    temperature : from 1, for what the teacher says, to 100, for nearly the same of all classes

    Raises ValueError for other arguments, and `fit` for a teacher of other pictures or classes.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> def network(width):
    ...     return pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(width), pm.ReLU(), pm.Linear(10)],
    ...                          input_shape=(1, 28, 28))
    >>> teacher, student = network(100), network(20)
    >>> _ = teacher.fit(train[:1000], epochs=3, progress=False)
    >>> lessons = pm.Distillation(teacher, train[:1000], pm.Augmentation(shift=1), temperature=2)
    >>> history = student.fit(lessons, epochs=3, validation=test[:100], progress=False)
    """

    teacher: Any
    data: Dataset | tuple[ArrayLike, ArrayLike]
    augmentation: Layer | Iterable[Layer] = ()
    alpha: float = 0.1
    temperature: float = 3.0

    def __post_init__(self) -> None:
        layers = [self.augmentation] if isinstance(self.augmentation, Layer) else self.augmentation
        if not isinstance(layers, Iterable):
            raise ValueError(f"augmentation must be a layer or layers, not {shown(layers)}")
        layers = [instance("augmentation", one, Layer, "layers, such as pm.Augmentation(shift=2)") for one in layers]
        for layer in layers:
            if layer.in_python or layer.ways():
                raise ValueError(f"augmentation must be layers that C computes one after the other, not {layer}")
        object.__setattr__(self, "augmentation", tuple(layer.unbuilt() for layer in layers))
        object.__setattr__(self, "alpha", number("alpha", self.alpha, 0, 1))
        object.__setattr__(self, "temperature", number("temperature", self.temperature, 1, 100))
        for teacher in self.teachers:
            if not callable(teacher):
                raise ValueError(f"teacher must be a model, or a list of models, not {shown(teacher)}")
            if isinstance([None, *getattr(teacher, "layers", [])][-1], Softmax):
                raise ValueError("teacher must give logits: leave its last layer, Softmax, out")
        if not self.teachers:
            raise ValueError("teacher must be a model, or a list of models, not an empty list")

    @property
    def teachers(self) -> list[Any]:
        return list(self.teacher) if isinstance(self.teacher, (list, tuple)) else [self.teacher]

    def logits(self, x: Array, shape: Shape) -> Array:
        """What the teachers say of pictures, on average: float64 (n, *shape). ValueError for another shape."""
        answers = [np.asarray(one(x), np.float64) for one in self.teachers]
        for answer in answers:
            if answer.shape != (len(x), *shape):
                raise ValueError(
                    f"teacher must give outputs {(len(x), *shape)} of {len(x)} pictures, as the network does, "
                    f"not {answer.shape}"
                )
        return np.mean(answers, axis=0)

    def inputs_and_labels(self, y: Any) -> Any:
        """The data, where `fit` was given nothing beside."""
        if y is not None:
            raise ValueError(f"a Distillation has its own labels: y is left out, not {shown(y)}")
        return self.data


class MeanTeacher(Callback):
    """A teacher that learns from its student: in each epoch it has what the student's weights were when that began, or
    what their moving average was, with `fit(..., average=...)` (Tarvainen and Valpola, 2017). It is both the teacher of
    a `Distillation` and one of the callbacks.

    model : of the student's layers; its weights are overwritten

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> def network():
    ...     return pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> student, teacher = network(), pm.MeanTeacher(network())
    >>> _ = student.fit(train[:1000], progress=False)  # who knows nothing teaches nothing
    >>> lessons = pm.Distillation(teacher, train[:1000], pm.Augmentation(shift=2), alpha=0.5, temperature=1)
    >>> history = student.fit(lessons, epochs=2, average=0.9, callbacks=[teacher], progress=False)
    """

    model: Any

    def __init__(self, model: Any) -> None:
        if not hasattr(model, "load_state_dict"):
            raise ValueError(f"model must be a Sequential of the student's layers, not {shown(model)}")
        self.model, self._weights = model, {}

    def __call__(self, x: ArrayLike) -> np.ndarray:
        return self.model.predict_outputs(x)

    def on_epoch_begin(self, training: Any) -> None:
        if training.batch == 0:
            named = training.model.named(training.validated)
            self.restore({name: np.array(weights, order="C") for name, weights in named.items()})

    def state(self) -> dict[str, Any]:
        return self._weights

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state)
        self._weights = state


class Lessons:
    """The parts of a training on a `Distillation`, for a network: beside `Arrays` and `Stream`.

    samples : how many there are in an epoch
    held_out : numbers of those that are not trained on; None if none were to be
    """

    samples: float
    streamed: bool = False
    targets: Targets
    x: Array
    held_out: Array | None

    def __init__(
        self, given: Distillation, network: Network, loss: Any, x: Array, targets: Targets, shuffle: bool,
        held_out: Array | None = None,
    ) -> None:  # fmt: skip
        if not (loss.takes_values and loss.takes_labels) or targets.labels is None:
            raise ValueError(f"a Distillation is of labels (n,), and for CrossEntropyLoss, not for {loss}")
        if any(getattr(getattr(one, "model", one), "network", None) is network for one in given.teachers):
            raise ValueError("teacher must be another model than the one that is trained")
        self._given, self._shuffle = given, shuffle
        self.x, self.targets, self.held_out = x, targets, held_out
        self.samples = len(x) - (0 if held_out is None else len(held_out))
        self._augmentation = Network(given.augmentation, network.input_shape, network.dtype)
        if self._augmentation.parameters or self._augmentation.output_shape != network.input_shape:
            raise ValueError("augmentation must be of layers without parameters that leave a picture's shape as it is")
        layers = [Rescaling(1 / given.temperature), Softmax()]
        self._softened = Network(layers, network.output_shape, network.dtype)
        given.logits(x[:PROBES], network.output_shape)

    def described(self, mapped: bool = True) -> dict[str, Any]:
        """What must be the same for a training to go on."""
        given = self._given
        fixed = [teacher for teacher in given.teachers if not isinstance(teacher, MeanTeacher)]
        return {
            "samples": self.samples,
            "shuffle": self._shuffle,
            "training data": checksum(self.x, *self.targets.arrays),
            "teacher": [checksum(np.asarray(one(self.x[:PROBES]))) for one in fixed],
            "distillation": described((given.augmentation, given.alpha, given.temperature)),
        }

    @property
    def resident(self) -> tuple[Array | None, ...]:
        """What every step reads: nothing stays."""
        return ()

    def resume(self, place: int, checksum: int | None) -> None:
        """The training goes on at this place of an epoch."""

    def parts(self, seed: int, epoch: int, batch_size: int, begin: int) -> Iterator[Part]:
        """The parts of an epoch from one of its places on, each made ready while the one before it is in use."""
        order = epoch_order(len(self.x), seed, epoch, self._shuffle, self.held_out)
        return in_advance(self._parts(order, seed, epoch, count_at_once(self.x, batch_size), begin))

    def _parts(self, order: Array, seed: int, epoch: int, count: int, begin: int) -> Generator[Part, None, None]:
        begin = min(begin, len(order) - 1)  # of an epoch that is complete, something is there
        for first in range(begin, len(order), count):
            numbers = order[first : first + count]
            x, targets = self._augmented(numbers, seed, epoch), self.targets[numbers]
            targets = replace(targets, labels=None, values=self._soft(x, targets.labels))
            yield Part(x, targets, first, len(numbers), None, numbers, first + count >= len(order))

    def _augmented(self, numbers: Array, seed: int, epoch: int) -> Array:
        """Pictures as they are seen in an epoch: a function of seed, epoch and number."""
        network, x = self._augmentation, self.x[numbers]
        if not network.layers:
            return x
        y = np.empty(x.shape, network.dtype)
        network.restart(seed)
        target = default_target()
        plan = network.plan(True, min(len(x), EVALUATION_BATCH), target)
        network._run(plan, Program.FORWARD, len(x), None, x=x, y=y, numbers=numbers, epoch=epoch)
        return y

    def _soft(self, x: Array, labels: Array | None) -> Array:
        """The targets of pictures, (n, classes)."""
        alpha, dtype = self._given.alpha, self._softened.dtype
        logits = self._given.logits(x, self._softened.input_shape)
        soft = self._softened.predict(logits.astype(dtype), default_target())
        return (alpha * np.eye(soft.shape[1])[labels] + (1 - alpha) * soft).astype(dtype)
