"""Sequential: layers one after the other; train it, ask it, save it."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import files
from ._types import Array, ArrayLike, DTypeLike, Shape, StrPath
from .architecture import described, parameter_names
from .averages import StochasticAverage, checked_average
from .callbacks import Callback
from .checkpoints import Checkpoint
from .checks import (
    checked_path,
    exact_cast,
    instance,
    number,
    shown,
    whole,
    yes_or_no,
)
from .datasets import Dataset
from .datasets.dataset import checked_classes
from .distillation import Distillation, Lessons
from .files import FORMAT, check_shapes, without_prefix
from .layers import Layer
from .losses import CrossEntropyLoss, FunctionLoss, Loss, LossFunction
from .markup import escaped, table
from .mismatch import warn_of
from .mixing import CutMix, MixUp, checked_mixing
from .network import Network, checked_threads, default_threads, of_classes
from .optimizers import IN_TRAINING, Adam, Optimizer, checked_optimizer
from .predictor import Predictor, classes_of, probabilities_of
from .progress import progress_bars
from .ranks import Ranks, check_together
from .schedules import Constant, checked_schedule
from .sources import Arrays, drawn_to_hold_out
from .stepping import SlowWarning, in_python, runner_of
from .streams import both_of, check_stream, refuse_of_streams, stream_of
from .target import target_of
from .training import History, Settings, Training, in_no_other_training

if TYPE_CHECKING:
    from .c_code import CCode


__all__ = [
    "Evaluation",
    "Sequential",
]


class Shown(str):
    """A text that an interactive session shows as it is."""

    def __repr__(self) -> str:
        return str.__str__(self)


@dataclass(frozen=True)
class Evaluation:
    """accuracy (share of samples whose label has the largest output) and mean loss, over n samples. Where there are no
    classes, as in a regression or with one output, accuracy is NaN.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> model = pm.Sequential([pm.Linear(2, initializer=pm.initializers.Zeros())], input_shape=(3,))
    >>> model.evaluate(([[1.0, 2.0, 3.0]], [0]))
    Evaluation(accuracy=1.0, loss=0.6931471824645996, n=1)
    """

    accuracy: float
    loss: float
    n: int

    def _repr_html_(self) -> str:
        """In a notebook: a table of one row."""
        accuracy, wrong = ("-", "-") if math.isnan(self.accuracy) else (
            f"{self.accuracy:.2%}", f"{self.n - round(self.accuracy * self.n):,}")  # fmt: skip
        row = [accuracy, wrong, f"{self.n:,}", f"{self.loss:.4f}"]
        return table(["accuracy", "wrong", "of", "mean loss"], [row], text_columns=0)


class Sequential:
    """A network whose layers follow each other; sizes of inputs are inferred.

    Parameters
    ----------
    layers : list of Layer, each new; the last gives logits
    input_shape : (channels, height, width) or (features,) of one sample
    seed : decides first weights, order and masks: same seed, same bits
    dtype : "float32" or "float64"

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Conv2d(8, 3), pm.ReLU(), pm.MaxPool2d(2),
    ...                        pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> train, test = pm.datasets.mnist()
    >>> history = model.fit(train[:1000], epochs=1, progress=False)
    >>> model.predict(test.images[:5]).shape
    (5,)
    """

    network: Network

    def __init__(
        self, layers: Iterable[Layer], input_shape: Sequence[int], seed: int = 0, dtype: DTypeLike = "float32"
    ) -> None:
        layers, seen = list(layers), set()
        for layer in layers:
            instance("layers", layer, Layer, "layers, such as pm.Linear(10)")
            inside = {id(one): one for one in (layer, *(leaf for _, leaf in layer.leaves()))}
            for key, one in inside.items():
                if one._in_model or key in seen:
                    raise ValueError(f"{one} is in a model already: make a new layer for each place")
                seen.add(key)
        if not layers:
            raise ValueError("a model needs at least one layer")
        self.network = Network(layers, input_shape, dtype, seed)
        self.loss: Loss = CrossEntropyLoss()  # that of the last `fit`: what `evaluate` takes if it is given none
        self.epochs_trained = 0
        self.notes: dict[str, Any] = {}
        self._share_memory(zip(layers, self.network.shapes, strict=False), 0)

    def _share_memory(self, layers: Any, number: int) -> None:
        """Let the layers, called by hand, use their pieces of the model's vectors; `number`: the first leaf's."""
        for layer, shape in layers:
            alone = self.network.part([layer.unbuilt()], shape, number)
            layer._network, layer._in_model = alone, True
            self._share_memory(layer.inside(shape), number)
            number += len(alone.leaves)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != IN_TRAINING}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._share_memory(zip(self.network.layers, self.network.shapes, strict=False), 0)

    @property
    def layers(self) -> list[Layer]:
        return self.network.layers

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.network.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.network.output_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.network.dtype

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, by label, or None; part of `notes`, and so of a saved file. They may be set, such as
        `model.classes = train.classes`."""
        names = self.notes.get("classes")
        named = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
        return tuple(names) if named and (len(names),) == self.output_shape else None

    @classes.setter
    def classes(self, names: Sequence[str] | None) -> None:
        if names is None:
            self.notes.pop("classes", None)
            return
        names = checked_classes(names)
        if (len(names),) != self.output_shape:
            raise ValueError(f"classes must be {self.output_shape[-1]} names, one for each output, not {len(names)}")
        self.notes["classes"] = list(names)

    def __repr__(self) -> str:
        inside = "".join(f"\n    {layer}," for layer in self.layers)
        return f"Sequential([{inside}\n], input_shape={self.input_shape})"

    def _repr_html_(self) -> str:
        """In a notebook: the table of `summary`."""
        head, *rows = self.summary_rows()
        names = f"<div>classes: {escaped(', '.join(self.classes))}</div>" if self.classes else ""
        return f"<div><b>Sequential</b>, inputs {self.input_shape}</div>{table(head, rows)}{names}"

    def summary_rows(self) -> list[tuple[str, str, str, str]]:
        """Layers, output shapes, parameters and multiply-adds, as texts: the head of a table, a row a layer, totals."""
        rows = [("layer", "output", "parameters", "multiply-adds")]
        totals = [0, 0]
        for index, layer in enumerate(self.layers):
            own = (p for p in self.network.parameters if self.network.owners[p.layer] == index and p.trained)
            parameters = sum(np.prod(p.shape) for p in own)
            work = layer.multiply_adds(self.network.shapes[index])
            totals = [totals[0] + parameters, totals[1] + work]
            shape = " x ".join(map(str, self.network.shapes[index + 1]))
            rows.append((str(layer), shape, f"{parameters:,}", f"{work:,}"))
        return [*rows, ("total", "", f"{totals[0]:,}", f"{totals[1]:,}")]

    def summary(self) -> str:
        """A table of layers, output shapes, parameters and multiply-adds."""
        rows = self.summary_rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in rows
        ]
        rule = "-" * max(map(len, lines))
        return Shown("\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]]))

    # ---- training and use ----

    def fit(
        self,
        x: Dataset
        | tuple[ArrayLike, ArrayLike]
        | ArrayLike
        | Iterable[Any]
        | Callable[[], Iterable[Any]]
        | Distillation,
        y: ArrayLike | None = None,
        *,
        epochs: int = 1,
        batch_size: int = 128,
        optimizer: Optimizer | None = None,
        loss: Loss | LossFunction | None = None,
        validation: Dataset | tuple[ArrayLike, ArrayLike] | None = None,
        schedule: Any = None,
        shuffle: bool = True,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        verbose: int | None = None,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | ArrayLike | None = None,
        held_out: int = 0,
        clip_norm: float | None = None,
        average: float | StochasticAverage | None = None,
        checkpoint: Checkpoint | None = None,
        resume: StrPath | None = None,
        shuffle_buffer: int | None = None,
        steps_per_epoch: int | None = None,
        comm: Any = None,
        mixing: MixUp | CutMix | None = None,
    ) -> History:
        """Train; returns what each epoch gave. Its `loss` and `accuracy` are running means over the epoch, of each
        batch before it was learnt from; `validation_loss` and `validation_accuracy` are computed at the epoch's end.

        Parameters
        ----------
        x, y : inputs (n, *input_shape), and targets: labels (n,) from 0 to classes - 1, or what else the loss takes; or
            x alone, a Dataset or a pair of both. A single channel may be left out, and pictures may be flat. Arrays of
            files may be larger than memory: see `datasets.read`. Or x alone, a stream: an iterable of chunks (inputs,
            targets) or (inputs, targets, weights), or a function that returns one; Dask arrays are streams, too. Or x
            alone, a Distillation: a teacher's answers to augmented pictures
        optimizer : Adam() if not given; its state lasts from one `fit` to the next
        loss : CrossEntropyLoss() if not given; or a function of outputs and targets that returns the mean loss and its
            gradient by the outputs, in NumPy
        validation : a Dataset, or (inputs, targets)
        schedule : learning rates by step, such as OneCycle(1e-2); the optimizer's own rate if not given
        shuffle : a new order each epoch, from seed and epoch
        callbacks : list of Callback
        progress : draw a progress bar on standard error, and write a line for each epoch; True if not given
        verbose : in its place, Keras' number: 0 for nothing, 1 for a bar, 2 for the lines alone
        threads, isa : the processors that this process may use (its affinity, its container, OMP_NUM_THREADS) and the
            widest instruction set if not given; results do not depend on them
        device : "cpu" if not given; "cuda", an NVIDIA GPU; or "auto", the GPU if there is one. Same seed, same bits on
            each of them; between them the last bits differ
        precision : of the factors of products in convolutions and large linear layers of float32: "full", as they are,
            if not given; "bf16", rounded to 8 bits; "tf32", to 11, on a GPU. Sums, weights and updates stay float32.
            For "bf16" a processor may have AMX or AVX512_BF16; otherwise factors are rounded for float32's products, at
            about the speed of "full" (`pymnistcnn info` says which). Same seed, same bits at any number of threads;
            between kinds of hardware for it the last bits may differ
        sample_weight : how much each training sample counts, (n,) numbers from 0 on
        class_weight : how much the samples of each class count: {class: number}, 1 for those that are not named, or
            numbers (classes,); as `weight` of the loss
        held_out : samples that are kept back from training, for callbacks such as Calibrate: so many, of each class its
            share, but a tenth of all at most, and none if that is fewer than 100. Seed and labels say which
        clip_norm : gradients are scaled down to this norm, taken over all of them, where theirs is larger
        average : decay, from 0 to 1 (excluded), of a moving average of the weights over steps (Polyak and Juditsky,
            1992; the exponential one); or StochasticAverage(), the mean over the last part of the training. Validation
            uses the average, and the model ends with it. Batch norm gets statistics of its own for the average, from
            16 batches of 256 training samples; after a stream, which may come only once, it keeps those of the weights
        checkpoint : Checkpoint(path), to be able to go on if this training ends before its time
        resume : path of a checkpoint to go on from; all other arguments that matter, the data too, must be as they
            were. The result is that of training in one go, bit for bit, and the history is of both parts
        shuffle_buffer : of a stream: samples that wait, of which the next is drawn at random. None leaves the order
        steps_per_epoch : of a stream: batches of an epoch; all that come if not given. A schedule needs it, unless the
            stream has a length
        comm : of mpi4py, such as MPI.COMM_WORLD: its processes train together, each from the same arguments and data,
            and all end with the same weights, those of one process, to the bit. Rank 0 alone draws the progress and
            writes the checkpoint. Needs `pip install 'pymnistcnn[mpi]'`, and the processor as the device
        mixing : MixUp() or CutMix(): each picture is trained on as a mixture with another of its batch

        Raises ValueError for bad arguments, a checkpoint that is damaged or of another training; Diverged, a
        FloatingPointError, if a parameter becomes NaN or infinite, with all steps before that one kept; and
        KeyboardInterrupt (Ctrl-C) with all steps so far kept.
        """
        ranks = None if comm is None else Ranks(comm)
        with nullcontext() if ranks is None else ranks.together():
            epochs, batch_size = whole("epochs", epochs), whole("batch_size", batch_size)
            optimizer = Adam() if optimizer is None else checked_optimizer(optimizer)
            if not self.network.parameters:
                raise ValueError("this network has no parameters to train")
            callbacks = checked_callbacks(callbacks)
            schedule = Constant(optimizer.lr) if schedule is None else checked_schedule("schedule", schedule)
            if checkpoint is not None:
                instance("checkpoint", checkpoint, Checkpoint, "a checkpoint, such as pm.Checkpoint(path)")
            average = checked_average(average)
            target = target_of(isa, device, precision)
            loss = weighted(checked_loss(CrossEntropyLoss() if loss is None else loss), class_weight, self.output_shape)
            if ranks is not None:
                check_together(self.network, loss, target)
                threads = max(1, default_threads() // ranks.here) if threads is None else threads
                progress, checkpoint = (progress, checkpoint) if ranks.rank == 0 else (False, None)
            shuffle, held_out = yes_or_no("shuffle", shuffle), whole("held_out", held_out, 0)
            data = stream_of(self.network, loss, x, y, batch_size, shuffle_buffer if shuffle else None, steps_per_epoch)
            if data is None:
                refuse_of_streams(shuffle_buffer=shuffle_buffer, steps_per_epoch=steps_per_epoch)
                given = (x.inputs_and_labels(y), None) if isinstance(x, Distillation) else (x, y)
                samples, targets = self._samples(loss, *given, "train", sample_weight)
                kept = drawn_to_hold_out(len(samples), held_out, targets, self.network.seed)
                if isinstance(x, Distillation):
                    data = Lessons(x, self.network, loss, samples, targets, shuffle, kept)
                else:
                    own_rows = ranks if mixing is None else None  # a mixture may be with what another process computes
                    data = Arrays(samples, targets, shuffle, own_rows, kept)
            else:
                check_stream(data, x, epochs, schedule, average, sample_weight, held_out)
                warn_of(self, data.first.x, "train inputs")
            validation = None if validation is None else self._samples(loss, validation, None, "validation")
            if mixing is not None:
                mixing = checked_mixing(mixing, self.network, loss, data.targets, batch_size)
            clip_norm = None if clip_norm is None else number("clip_norm", clip_norm, 1e-30, 1e30)
            callbacks += progress_bars(progress, verbose)
            settings = Settings(epochs, batch_size, optimizer, loss, schedule, callbacks, target,
                                checked_threads(threads), clip_norm, average, checkpoint, ranks, mixing)  # fmt: skip
            if python := in_python(self.network, loss):
                names = ", ".join(map(str, python))
                warnings.warn(f"each step has Python in it, and is slower: {names}", SlowWarning, stacklevel=2)
            with in_no_other_training(self, optimizer):
                training = Training(self, data, validation, settings)
                if ranks is not None:
                    ranks.check_same("model, data and arguments", training.beginning)
                if resume is not None:
                    training.resume(checked_path("resume", resume))
                if ranks is not None:
                    ranks.check_same("where a training is resumed", training.place)
                self.loss = loss
                return training.run()

    def evaluate(
        self,
        x: Dataset | tuple[ArrayLike, ArrayLike] | ArrayLike,
        y: ArrayLike | None = None,
        *,
        loss: Loss | LossFunction | None = None,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> Evaluation:
        """Accuracy and mean loss, without dropout, on inputs and targets, or on a Dataset or a pair of both. The loss
        is that of the last `fit` if none is given, CrossEntropyLoss() if there was none."""
        target, loss = target_of(isa, device, precision), checked_loss(self.loss if loss is None else loss)
        x, targets = self._samples(loss, x, y, "data")
        mean, correct = runner_of(self.network, loss).evaluate(x, targets, loss, target, threads)
        return Evaluation(correct / len(x) if of_classes(targets, self.output_shape) else math.nan, mean, len(x))

    def predict(
        self,
        inputs: Dataset | ArrayLike,
        *,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> np.ndarray:
        """The class (n,) with the largest output for each of inputs (n, *input_shape), or of a Dataset; of a network
        with one output its value (n,). ValueError where an output is NaN."""
        return classes_of(self.predict_outputs(inputs, threads=threads, isa=isa, device=device, precision=precision))

    def predict_proba(
        self,
        inputs: Dataset | ArrayLike,
        *,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> np.ndarray:
        """Probabilities (n, classes): softmax of the outputs, unless the network ends in Softmax, LogSoftmax or
        Sigmoid, which give probabilities. ValueError for one output that is none."""
        outputs = self.predict_outputs(inputs, threads=threads, isa=isa, device=device, precision=precision)
        return probabilities_of(outputs, self.layers[-1])

    def predict_outputs(
        self,
        inputs: Dataset | ArrayLike,
        *,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> np.ndarray:
        """The last layer's outputs (n, classes): logits, if the network ends so."""
        inputs = inputs.images if isinstance(inputs, Dataset) else inputs
        x = self.network.inputs(inputs)
        warn_of(self, x, "inputs")
        return runner_of(self.network).predict(x, target_of(isa, device, precision), threads)

    __call__ = predict_outputs

    def predictor(
        self,
        *,
        batch: int | None = None,
        threads: int | None = None,
        isa: str | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> Predictor:
        """This network as it is now, frozen, to predict with: from many threads at once, and with as little work around
        a call as can be.

        batch : samples that are computed together, at most; 512 if not given. Memory grows with it
        threads : that a call uses; all processors if not given. A server that answers in several threads wants 1

        ValueError for what `predict_outputs` refuses.
        """
        if python := in_python(self.network):
            raise ValueError(f"a predictor is without Python, which computes {python[0]} of this network")
        layers = [layer.unbuilt() for layer in self.layers]
        with self.network.turns.mine():  # another thread may be training: the weights of one of its steps
            weights = self.network.param.copy()
        return Predictor(layers, self.input_shape, weights, batch, threads, isa, device, precision)

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
        how = dict(threads=threads, isa=isa, device=device, precision=precision)
        return self.evaluate(x, y, **how).accuracy

    def forward(
        self, x: ArrayLike, training: bool = True, *, threads: int | None = None, isa: str | None = None
    ) -> np.ndarray:
        """All layers by hand: outputs (n, ...) for x (n, *input_shape)."""
        return runner_of(self.network).forward(x, training, target_of(isa), threads)

    def backward(self, dy: ArrayLike, *, threads: int | None = None, isa: str | None = None) -> np.ndarray:
        """The gradient of the last forward's inputs; each layer's `gradients` are then filled."""
        return runner_of(self.network).backward(dy, isa and target_of(isa), threads)

    def _samples(
        self, loss: Loss, x: ArrayLike, y: ArrayLike, name: str, sample_weight: ArrayLike | None = None
    ) -> Any:
        """Inputs and targets, as the network takes them."""
        if y is not None and isinstance(x, Dataset):
            raise ValueError(
                f"{name}: a Dataset has its own labels: y is left out, not {shown(y)}; pass other arguments by name"
            )
        inputs, targets = (x, y) if y is not None else both_of(x, name)
        x = self.network.inputs(inputs, f"{name} inputs")
        targets = self.network.targets(loss, targets, len(x), sample_weight, f"{name} labels")
        warn_of(self, x, f"{name} inputs", targets.labels if name == "train" else None)
        return x, targets

    # ---- weights ----

    def state_dict(self) -> dict[str, np.ndarray]:
        """Weights by PyTorch's names, "0.weight" and so on, in its shapes: views, not copies.

        Layers are counted as in an nn.Sequential of the same layers; Rescaling, GaussianNoise and what augments
        pictures, which PyTorch has not, are not counted. Batch norm's buffers are there under PyTorch's names.
        """
        return self.named(self.network.param)

    def named(self, vector: Array) -> dict[str, np.ndarray]:
        """Views of a flat vector that is laid out as the weights are, by the names of `state_dict`."""
        names = parameter_names(self.layers, self.network.parameters)
        return dict(zip(names, self.network.views(vector), strict=True))

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Take weights of the same names and shapes: arrays or PyTorch's tensors by name, or the path of a
        safetensors file, of PyTorch's too; also (name, weights) one after the other, as from `named_parameters()`. A
        prefix that all names have, such as "module.", is left out. All or, with a ValueError, none."""
        if isinstance(state, (str, os.PathLike)):
            state, _ = files.arrays_of(state)
        try:
            state = {name: array_of(weights) for name, weights in dict(state).items()}
        except (TypeError, ValueError) as error:
            raise ValueError(f"state must be weights by name, not {shown(state)}: {files.brief(error)}") from None
        own = self.state_dict()
        state = without_prefix(state, own)
        check_shapes({name: weights.shape for name, weights in own.items()}, state)
        cast = {name: exact_cast(state[name], self.dtype, name) for name in own}
        for name, weights in own.items():
            weights[...] = cast[name]

    def save(self, path: StrPath, weights: Any = None) -> None:
        """Write architecture, input scaling, weights and `notes` to a safetensors file; other weights than the model's,
        by the names of `state_dict`, if given.

        The file is a function of these alone; it is written whole or not at all (see `datasets.atomic_write`). `notes`
        is a dictionary of the user's, of what JSON can say, such as {"epoch": 12, "accuracy": 0.993}; ValueError if it
        cannot. OSError if the file cannot be written.
        """
        files.write(path, self.description(), self.state_dict() if weights is None else weights, self)

    def to_c(
        self,
        path: StrPath,
        *,
        int8: bool = False,
        calibration: Dataset | ArrayLike | None = None,
        test: Dataset | ArrayLike | None = None,
    ) -> CCode:
        """Write the network as one C99 file without dependencies: `NAME_predict(input, output)` for a file NAME.c. See
        docs/c.md.

        Parameters
        ----------
        path : of the file; its name begins the names in C
        int8 : whole numbers (int8 weights, uint8 activations) in place of float32, whose outputs have the bits of
            `predict_outputs(..., isa="portable")`
        calibration : of int8, some hundred training pictures (n, *input_shape), or a Dataset: they say how large values
            become, and, by their dtype, whether the C code takes uint8 or float
        test : inputs (n, *input_shape), or a Dataset, for a `main` that gives 0 if the C code computes the outputs of
            each that it should

        Returns a CCode: its `ram` and `flash` in bytes, and `predict_outputs`, `predict` and `score`, which compute
        what the C code computes. ValueError, with the layer's name, for what cannot be exported. OSError if the file
        cannot be written.

        Examples
        --------
        >>> import pymnistcnn as pm
        >>> train, test = pm.datasets.mnist()
        >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Conv2d(4, 5, stride=2), pm.ReLU(), pm.MaxPool2d(2),
        ...                        pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
        >>> code = model.to_c("digits.c", int8=True, calibration=train.images[:100])
        >>> code.ram, code.flash
        (144, 1656)
        """
        from .c_code import export

        return export(self.network, path, int8, calibration, test)

    def to_onnx(
        self,
        path: StrPath,
        *,
        input_dtype: DTypeLike | None = None,
        fold_batch_norm: bool = False,
        classes: Sequence[str] | None = None,
    ) -> None:
        """Write an ONNX file (opset 17) that predicts what this model does: NCHW, any batch, Rescaling inside.

        Parameters
        ----------
        path : of the file, which is written whole or not at all
        input_dtype : "uint8", if the graph is to take pixels as they are; the model's dtype if not given
        fold_batch_norm : whether convolutions and linear layers take in the batch norm right behind them
        classes : names of the outputs, for the file's metadata; those in `notes["classes"]`, or numbers, if not given

        Dropout, noise and augmentation leave nothing. ValueError for what cannot be, MissingExtra without
        `pip install 'pymnistcnn[onnx]'`.
        """
        from .onnx import write

        write(self, path, input_dtype=input_dtype, fold_batch_norm=fold_batch_norm, classes=classes)

    def card(self, evaluation: Evaluation | None = None) -> str:
        """A model card in Markdown: what the network takes and gives, what it was trained on, its layers and limits;
        with an evaluation, how good it is.

        Examples
        --------
        >>> import pymnistcnn as pm
        >>> model = pm.Sequential([pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
        >>> print(model.card().splitlines()[2])
        A network of 2 layers and 7,850 parameters, made with pymnistcnn.
        """
        from .card import card_of

        return Shown(card_of(self, evaluation))

    def to_torch(self) -> Any:
        """An `nn.Sequential` of the same layers, weights and names, in evaluation mode; of noise and augmentation
        nothing. MissingExtra without `pip install 'pymnistcnn[torch]'`."""
        from .pytorch import module_of

        return module_of(self)

    def description(self) -> dict[str, Any]:
        """The architecture, as what JSON can say."""
        description = {
            "dtype": self.dtype.name,
            "format": FORMAT,
            "input_shape": self.input_shape,
            "layers": [described(layer) for layer in self.layers],
        }
        return description | ({"notes": self.notes} if self.notes else {})


def checked_callbacks(callbacks: Any) -> list[Any]:
    if not isinstance(callbacks, (list, tuple)) or not all(isinstance(c, Callback) for c in callbacks):
        raise ValueError(f"callbacks must be a list of callbacks, not {shown(callbacks)}")
    return list(callbacks)


def checked_loss(loss: Loss | LossFunction) -> Loss:
    """A loss, or a function as one."""
    if callable(loss) and not isinstance(loss, type):
        return FunctionLoss(loss)
    instance("loss", loss, Loss, "a loss, such as pm.CrossEntropyLoss(), or a function of outputs and targets")
    if loss.in_python and type(loss).forward is Loss.forward:
        raise ValueError(f"{type(loss).__name__} does not say what it computes: it needs `forward` and `backward`")
    return loss


def weighted(loss: Loss, class_weight: Any, shape: Shape) -> Loss:
    """A loss whose classes count so much; shape: of the outputs."""
    if class_weight is None:
        return loss
    if loss.weight is not None or not is_dataclass(loss) or "weight" not in {f.name for f in fields(loss)}:
        raise ValueError(f"class_weight is for a loss that takes weights of classes and has none yet, not {loss}")
    if isinstance(class_weight, dict):
        given, class_weight = class_weight, np.ones(shape[-1])
        for label, counts in given.items():
            label = whole("a class of class_weight", label, 0, shape[-1] - 1)
            class_weight[label] = number(f"class_weight of {label}", counts, 0)
    return replace(loss, weight=class_weight)


def array_of(weights: ArrayLike) -> np.ndarray:
    """A NumPy array of one, or of a PyTorch tensor; of bfloat16 as float32, which holds all its values."""
    if hasattr(weights, "detach"):
        weights = weights.detach().cpu()
        weights = weights.float() if str(weights.dtype) == "torch.bfloat16" else weights
    array = np.asarray(weights)
    return files.float_of_bfloat16(array.view(np.uint16)) if array.dtype.name == "bfloat16" else array
