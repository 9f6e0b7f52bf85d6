"""What a model makes of data: where it is wrong, how sure it is, which classes it takes for which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ._types import Array, ArrayLike
from .checks import instance, whole
from .datasets import Dataset
from .model import Sequential, both_of
from .predictor import classes_of, log_probabilities_of

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "Interpretation",
    "interpret",
]

SAMPLE = np.dtype(
    [("index", "i8"), ("label", "i8"), ("answer", "i8"), ("probability", "f8"), ("loss", "f8")]
)  # of a table of samples
PAIR = np.dtype([("label", "i8"), ("answer", "i8"), ("count", "i8")])
BIN = np.dtype([("low", "f8"), ("high", "f8"), ("probability", "f8"), ("accuracy", "f8"), ("count", "i8")])


@dataclass(frozen=True, eq=False)
class Interpretation:
    """What `pm.interpret` gives. Its methods return tables: structured arrays whose columns are `table["label"]` and so
    on, and which `pandas.DataFrame(table)` takes.

    images : the inputs, as they were given
    labels : (n,) of the samples
    probabilities : float64 (n, classes)
    losses : float64 (n,), the cross entropy of each sample: minus the logarithm of its label's probability
    answers : (n,) classes with the largest probability
    classes : their names, by label

    Examples
    --------
    >>> import numpy as np, pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(3,))
    >>> what = pm.interpret(model, (np.ones((4, 3), np.float32), [0, 1, 1, 1]))
    >>> what
    Interpretation(4 samples, 3 answered wrong)
    >>> what.most_confused().tolist()
    [(1, 0, 3)]
    >>> what.mistakes()["probability"].tolist()
    [0.5, 0.5, 0.5]
    """

    images: np.ndarray
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64] = field(repr=False)
    losses: npt.NDArray[np.float64] = field(repr=False)
    answers: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Interpretation({len(self):,} samples, {int((self.answers != self.labels).sum()):,} answered wrong)"

    @property
    def accuracy(self) -> float:
        return float((self.answers == self.labels).mean())

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """(classes, classes): how many samples of each class (row) got each answer (column)."""
        matrix = np.zeros((len(self.classes),) * 2, np.int64)
        np.add.at(matrix, (self.labels, self.answers), 1)
        return matrix

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """(classes,): of the samples that got each answer, the share that are of that class; NaN without such."""
        return shares(self.confusion.diagonal(), self.confusion.sum(axis=0))

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """(classes,): of the samples of each class, the share that was answered right; NaN without such."""
        return shares(self.confusion.diagonal(), self.confusion.sum(axis=1))

    def mistakes(self) -> Array:
        """The samples that were answered wrong, the surest answers first: index, label, answer, probability (of the
        answer), loss."""
        wrong = np.flatnonzero(self.answers != self.labels)
        sure = self.probabilities[wrong, self.answers[wrong]]
        return self.table(wrong[np.argsort(-sure, kind="stable")])

    def top_losses(self, k: int = 10) -> Array:
        """The k samples whose labels surprise the model most, or all if there are fewer; columns as of `mistakes`."""
        k = whole("k", k)
        return self.table(np.argsort(-self.losses, kind="stable")[:k])

    def most_confused(self, least: int = 1) -> Array:
        """Pairs of a class and another that it was taken for, the most frequent first: label, answer, count; those of
        `least` samples or more."""
        wrong = self.confusion
        np.fill_diagonal(wrong, 0)
        labels, answers = np.nonzero(wrong >= whole("least", least))
        pairs = np.empty(len(labels), PAIR)
        pairs["label"], pairs["answer"], pairs["count"] = labels, answers, wrong[labels, answers]
        return pairs[np.argsort(-pairs["count"], kind="stable")]

    def calibration(self, bins: int = 10) -> Array:
        """Is it right as often as it says? Samples are put in bins of equal width, by the probability of the answer:
        low, high, mean probability and accuracy (NaN in an empty bin), count."""
        bins = whole("bins", bins)
        sure = self.probabilities.max(axis=1)
        edges = np.linspace(0, 1, bins + 1)
        places = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)

        def sums(values):
            return np.bincount(places, values, minlength=bins)

        table = np.empty(bins, BIN)
        table["low"], table["high"], table["count"] = edges[:-1], edges[1:], np.bincount(places, minlength=bins)
        table["probability"] = shares(sums(sure), table["count"])
        table["accuracy"] = shares(sums((self.answers == self.labels).astype(float)), table["count"])
        return table

    def calibration_error(self, bins: int = 10) -> float:
        """The expected calibration error: the mean distance between probability and accuracy, over samples, in bins."""
        table = self.calibration(bins)
        table = table[table["count"] > 0]
        gaps = np.abs(table["probability"] - table["accuracy"])
        return float((gaps * table["count"]).sum() / len(self))

    def table(self, indices: ArrayLike) -> Array:
        """What is said of these samples: index, label, answer, probability (of the answer), loss."""
        indices = np.asarray(indices, np.int64)
        rows = np.empty(len(indices), SAMPLE)
        rows["index"], rows["label"], rows["answer"] = indices, self.labels[indices], self.answers[indices]
        rows["probability"] = self.probabilities[indices, rows["answer"]]
        rows["loss"] = self.losses[indices]
        return rows


def interpret(
    model: Sequential,
    data: Dataset | tuple[ArrayLike, ArrayLike],
    *,
    threads: int | None = None,
    isa: str | None = None,
    device: str | None = None,
    precision: str | None = None,
) -> Interpretation:
    """Let a model answer data, to see where it is wrong.

    Parameters
    ----------
    model : one that tells classes apart
    data : any Dataset, or a pair of inputs (n, *input_shape) and labels (n,)
    threads, isa, device, precision : as of `Sequential.predict`

    ValueError for data that do not fit the model, for one of a single output, and where an output is NaN.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:5000], progress=False)
    >>> what = pm.interpret(model, test)
    >>> worst = what.top_losses(3)
    >>> worst["index"].shape, worst.dtype.names
    ((3,), ('index', 'label', 'answer', 'probability', 'loss'))
    >>> len(what.mistakes()) == round((1 - model.score(test)) * 10000)
    True
    >>> int(what.most_confused()["count"].sum()) == len(what.mistakes())
    True
    """
    instance("model", model, Sequential, "a model, such as pm.load(path)")
    images, labels = both_of(data, "data")
    if len(model.output_shape) != 1 or model.output_shape == (1,):
        raise ValueError(f"a model with outputs of shape {model.output_shape} tells no classes apart")
    outputs = model.predict_outputs(images, threads=threads, isa=isa, device=device, precision=precision)
    labels = model.network.class_labels(labels, len(outputs)).astype(np.int64)
    answers = classes_of(outputs).astype(np.int64)
    logs = log_probabilities_of(outputs.astype(np.float64), model.layers[-1])
    if np.isnan(logs).any():
        raise ValueError("the model's outputs are not finite numbers: its weights may be damaged")
    losses = -logs[np.arange(len(labels)), labels]
    return Interpretation(np.asarray(images), labels, np.exp(logs), losses, answers, names_of(model, data))


def names_of(model: Any, data: Any) -> tuple[str, ...]:
    """The classes' names, by label: the model's, those of the data, or numbers."""
    of_data = data.classes if isinstance(data, Dataset) and len(data.classes or ()) == model.output_shape[0] else None
    return tuple(model.classes or of_data or map(str, range(model.output_shape[0])))


def shares(part: Array, whole: Array) -> Array:
    """Of each count, the share that a part is; NaN of nothing."""
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=np.asarray(whole) > 0)
