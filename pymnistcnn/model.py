"""Sequential: layers one after the other; train it, ask it, save it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from . import files
from . import layers as layer_classes
from .callbacks import Callback
from .checkpoints import TRAINING, Checkpoint
from .checks import checked_path, checked_shape, exact_cast, instance, number, whole
from .datasets import Dataset
from .files import FORMAT, check_shapes
from .layers import Layer, LogSoftmax, Softmax
from .layers.residual import named_leaves
from .losses import CrossEntropyLoss, Loss
from .network import Network, checked_threads, lowered, shapes_through
from .optimizers import Adam, Optimizer, checked_optimizer
from .progress import ProgressBar
from .schedules import Constant, checked_schedule
from .target import target_of
from .training import History, Settings, Training

__all__ = [
    "Evaluation",
    "Sequential",
    "load",
]


@dataclass(frozen=True)
class Evaluation:
    """accuracy (share of samples whose label has the largest output) and mean loss, over n samples.

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

    def __init__(self, layers, input_shape, seed=0, dtype="float32"):
        layers, seen = list(layers), set()
        for layer in layers:
            instance("layers", layer, Layer, "layers, such as pm.Linear(10)")
            for one in {layer, *(leaf for _, leaf in layer.leaves())}:
                if one._in_model or one in seen:
                    raise ValueError(f"{one} is in a model already: make a new layer for each place")
                seen.add(one)
        if not layers:
            raise ValueError("a model needs at least one layer")
        self.network = Network(layers, input_shape, dtype, seed)
        self.epochs_trained = 0
        self.notes: dict = {}
        self._share_memory(zip(layers, self.network.shapes, strict=False), 0)

    def _share_memory(self, layers, number):
        """Let the layers, called by hand, use their pieces of the model's vectors; `number`: the first leaf's."""
        network = self.network
        for layer, shape in layers:
            alone = Network([layer], shape, network.dtype, network.seed, number, memory=(None, None), lock=network.lock)
            behind = number + len(alone.leaves)
            start = min((p.offset for p in network.parameters if number <= p.layer < behind), default=0)
            piece = slice(start, start + alone.elements)
            alone.param, alone.gradient = network.param[piece], network.gradient[piece]
            layer._network, layer._in_model = alone, True
            self._share_memory(layer.inside(shape), number)
            number = behind

    @property
    def layers(self) -> list[Layer]:
        return self.network.layers

    @property
    def input_shape(self):
        return self.network.input_shape

    @property
    def dtype(self):
        return self.network.dtype

    def __repr__(self):
        inside = "".join(f"\n    {layer}," for layer in self.layers)
        return f"Sequential([{inside}\n], input_shape={self.input_shape})"

    def summary(self) -> str:
        """A table of layers, output shapes, parameters and multiply-adds; print it."""
        rows = [("layer", "output", "parameters", "multiply-adds")]
        totals = [0, 0]
        for index, layer in enumerate(self.layers):
            own = (p for p in self.network.parameters if self.network.owners[p.layer] == index and p.trained)
            parameters = sum(np.prod(p.shape) for p in own)
            work = layer.multiply_adds(self.network.shapes[index])
            totals = [totals[0] + parameters, totals[1] + work]
            shape = " x ".join(map(str, self.network.shapes[index + 1]))
            rows.append((str(layer), shape, f"{parameters:,}", f"{work:,}"))
        rows.append(("total", "", f"{totals[0]:,}", f"{totals[1]:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in rows
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    # ---- training and use ----

    def fit(
        self,
        train,
        epochs=1,
        batch_size=128,
        optimizer: Optimizer | None = None,
        loss: Loss | None = None,
        validation=None,
        schedule=None,
        shuffle=True,
        callbacks=(),
        progress=True,
        threads=None,
        isa=None,
        device=None,
        precision=None,
        sample_weight=None,
        clip_norm=None,
        average=None,
        checkpoint=None,
        resume=None,
    ) -> History:
        """Train; returns what each epoch gave.

        Parameters
        ----------
        train, validation : Dataset, or (inputs, targets); inputs (n, *input_shape), a single channel may be left
            out; targets: labels (n,) from 0 to classes - 1, or what else the loss takes
        optimizer : Adam() if not given; its state lasts from one `fit` to the next
        loss : CrossEntropyLoss() if not given
        schedule : learning rates by step, such as OneCycle(1e-2); the optimizer's own rate if not given
        shuffle : a new order each epoch, from seed and epoch
        callbacks : list of Callback
        progress : draw a progress bar on standard error
        threads, isa : all processors and the widest instruction set if not given; results do not depend on them
        device : "cpu" if not given; "cuda", an NVIDIA GPU; or "auto", the GPU if there is one. Same seed, same bits on
            each of them; between them the last bits differ
        precision : on a GPU, of the factors of products in convolutions and large linear layers: "full", as they are,
            if not given; "tf32" or "bf16", rounded to 11 or 8 bits for its tensor cores, which add up in float32
        sample_weight : how much each training sample counts, (n,) numbers from 0 on
        clip_norm : gradients are scaled down to this norm, taken over all of them, where theirs is larger
        average : decay, from 0 to 1 (excluded), of a moving average of the weights over steps; validation uses
            the average, and the model ends with it (Polyak and Juditsky, 1992; the exponential one)
        checkpoint : Checkpoint(path), to be able to go on if this training ends before its time
        resume : path of a checkpoint to go on from; all other arguments that matter, the data too, must be as they
            were. The result is that of training in one go, bit for bit, and the history is of both parts

        Raises ValueError for bad arguments, a checkpoint that is damaged or of another training; Diverged, a
        FloatingPointError, if a parameter becomes NaN or infinite, with all steps before that one kept; and
        KeyboardInterrupt (Ctrl-C) with all steps so far kept.
        """
        epochs, batch_size = whole("epochs", epochs), whole("batch_size", batch_size)
        optimizer = Adam() if optimizer is None else checked_optimizer(optimizer)
        if not self.network.parameters:
            raise ValueError("this network has no parameters to train")
        callbacks = checked_callbacks(callbacks)
        schedule = Constant(optimizer.lr) if schedule is None else checked_schedule("schedule", schedule)
        if checkpoint is not None:
            instance("checkpoint", checkpoint, Checkpoint, "a checkpoint, such as pm.Checkpoint(path)")
        target = target_of(isa, device, precision)
        self._use_loss(loss)
        x, targets = self._samples(train, "train", sample_weight)
        validation = None if validation is None else self._samples(validation, "validation")
        clip_norm = None if clip_norm is None else number("clip_norm", clip_norm, 1e-30, 1e30)
        average = None if average is None else number("average", average, 0, 1, open_high=True)
        callbacks += [ProgressBar()] * bool(progress)
        settings = Settings(epochs, batch_size, optimizer, schedule, shuffle, callbacks, target,
                            checked_threads(threads), clip_norm, average, checkpoint)  # fmt: skip
        training = Training(self, x, targets, validation, settings)
        if resume is not None:
            training.resume(checked_path("resume", resume))
        return training.run()

    def evaluate(
        self, data, loss: Loss | None = None, *, threads=None, isa=None, device=None, precision=None
    ) -> Evaluation:
        """Accuracy and mean loss on a Dataset or (inputs, targets), without dropout."""
        target = target_of(isa, device, precision)
        self._use_loss(loss)
        x, targets = self._samples(data, "data")
        loss, correct = self.network.evaluate(x, targets, target, threads)
        return Evaluation(correct / len(x), loss, len(x))

    def predict(self, inputs, *, threads=None, isa=None, device=None, precision=None) -> np.ndarray:
        """The class (n,) with the largest output for each of inputs (n, *input_shape)."""
        how = dict(threads=threads, isa=isa, device=device, precision=precision)
        return self.predict_outputs(inputs, **how).argmax(axis=1)

    def predict_proba(self, inputs, *, threads=None, isa=None, device=None, precision=None) -> np.ndarray:
        """Probabilities (n, classes): softmax of the outputs, unless the network ends in Softmax or LogSoftmax."""
        outputs = self.predict_outputs(inputs, threads=threads, isa=isa, device=device, precision=precision)
        if isinstance(self.layers[-1], Softmax):
            return outputs
        if isinstance(self.layers[-1], LogSoftmax):
            return np.exp(outputs)
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def predict_outputs(self, inputs, *, threads=None, isa=None, device=None, precision=None) -> np.ndarray:
        """The last layer's outputs (n, classes): logits, if the network ends so."""
        return self.network.predict(self.network.inputs(inputs), target_of(isa, device, precision), threads)

    def score(self, inputs, labels, *, threads=None, isa=None, device=None, precision=None) -> float:
        """Accuracy on inputs (n, *input_shape) and labels (n,)."""
        how = dict(threads=threads, isa=isa, device=device, precision=precision)
        return self.evaluate((inputs, labels), **how).accuracy

    def forward(self, x, training=True, *, threads=None, isa=None) -> np.ndarray:
        """All layers by hand: outputs (n, ...) for x (n, *input_shape)."""
        return self.network.forward(x, training, target_of(isa), threads)

    def backward(self, dy, *, threads=None, isa=None) -> np.ndarray:
        """The gradient of the last forward's inputs; each layer's `gradients` are then filled."""
        return self.network.backward(dy, isa and target_of(isa), threads)

    def _use_loss(self, loss):
        if loss is not None:
            instance("loss", loss, Loss, "a loss, such as pm.CrossEntropyLoss()")
        self.network.use_loss(loss or self.network.loss or CrossEntropyLoss())

    def _samples(self, data, name, sample_weight=None):
        inputs, targets = (data.images, data.labels) if isinstance(data, Dataset) else pair_of(data, name)
        x = self.network.inputs(inputs, f"{name} inputs")
        return x, self.network.targets(targets, len(x), sample_weight, f"{name} labels")

    # ---- weights ----

    def state_dict(self) -> dict[str, np.ndarray]:
        """Weights by PyTorch's names, "0.weight" and so on, in its shapes: views, not copies.

        Layers are counted as in an nn.Sequential of the same layers; Rescaling, GaussianNoise and Augmentation,
        which PyTorch has not, are not counted. Batch norm's buffers are there under PyTorch's names.
        """
        return self.named(self.network.param)

    def named(self, vector) -> dict[str, np.ndarray]:
        """Views of a flat vector that is laid out as the weights are, by the names of `state_dict`."""
        names = parameter_names(self.layers, self.network.parameters)
        return dict(zip(names, self.network.views(vector), strict=True))

    def load_state_dict(self, state) -> None:
        """Take weights of the same names and shapes: arrays or PyTorch's tensors by name, or the path of a
        safetensors file, of PyTorch's too. All or, with a ValueError, none."""
        if isinstance(state, (str, os.PathLike)):
            state, _ = files.arrays_of(state)
        own = self.state_dict()
        check_shapes({name: weights.shape for name, weights in own.items()}, state)
        cast = {name: exact_cast(np.asarray(state[name]), self.dtype, name) for name in own}
        for name, weights in own.items():
            weights[...] = cast[name]

    def save(self, path) -> None:
        """Write architecture, input scaling, weights and `notes` to a safetensors file.

        The file is a function of these alone; it is written whole or not at all. `notes` is a dictionary of the
        user's, of what JSON can say, such as {"epoch": 12, "accuracy": 0.993}; ValueError if it cannot.
        """
        files.write(path, self.description(), self.state_dict())

    def description(self) -> dict:
        """The architecture, as what JSON can say."""
        description = {
            "dtype": self.dtype.name,
            "format": FORMAT,
            "input_shape": self.input_shape,
            "layers": [described(layer) for layer in self.layers],
        }
        return description | ({"notes": self.notes} if self.notes else {})


def described(value):
    """A layer's class and settings, those of layers inside, too; other values as they are."""
    if isinstance(value, Layer):
        return {"class": type(value).__name__, **{name: described(v) for name, v in value.settings().items()}}
    return [described(v) for v in value] if isinstance(value, list) else value


def layer_of(value):
    """What `described` was given, from a file."""
    if isinstance(value, list):
        return [layer_of(v) for v in value]
    if not isinstance(value, dict) or "class" not in value:
        return value
    settings = {name: layer_of(v) for name, v in value.items() if name != "class"}
    kind = getattr(layer_classes, str(value["class"]), None)
    if not isinstance(kind, type) or not issubclass(kind, Layer) or kind is Layer:
        raise ValueError(f"there is no layer {value['class']!r}")
    return kind(**settings)


def parameter_names(layers, parameters) -> list[str]:
    """PyTorch's names of a Sequential's parameters; layers that PyTorch has not do not count."""
    names = [name for name, _ in named_leaves(layers)]
    return [f"{names[p.layer]}.{p.name}" for p in parameters]


def checked_callbacks(callbacks) -> list:
    if not isinstance(callbacks, (list, tuple)) or not all(isinstance(c, Callback) for c in callbacks):
        raise ValueError(f"callbacks must be a list of callbacks, not {callbacks!r}")
    return list(callbacks)


def pair_of(data, name):
    """(inputs, targets) of what is a tuple or list of two."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(f"{name} must be a Dataset or (inputs, labels), not {type(data).__name__}")
    return data


def load(path) -> Sequential:
    """The model that `Sequential.save`, or a Checkpoint, wrote, ready to predict or to train on.

    Raises ValueError if the file is damaged or not one of ours.

    Examples
    --------
    >>> import pymnistcnn as pm, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "tiny.safetensors")
    >>> pm.Sequential([pm.Linear(2)], input_shape=(3,)).save(path)
    >>> pm.load(path).layers
    [Linear(2)]
    """
    description, state = files.read(path)
    try:
        return model_of(description, state)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: its description of the network cannot be read: {error}") from None


def model_of(description, state) -> Sequential:
    """The network that a file's metadata describes. Its sizes are held against the weights that there are
    before any memory is taken. Of a checkpoint, only the weights and the seed are of interest."""
    seed = 0
    if TRAINING in description:
        seed = description.pop(TRAINING)["settings"]["seed"]
        state = {name: array for name, array in state.items() if not name.startswith(f"{TRAINING}.")}
    notes = description.pop("notes", {})
    if description.keys() != {"dtype", "format", "input_shape", "layers"} or description["format"] != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}, the one that this version reads")
    layers = [layer_of(dict(settings)) for settings in description["layers"]]
    shape = checked_shape(description["input_shape"])
    shapes_through(layers, shape)
    parameters = lowered(layers, shape).parameters
    names = parameter_names(layers, parameters)
    check_shapes({name: p.shape for name, p in zip(names, parameters, strict=True)}, state)
    model = Sequential(layers, shape, seed, description["dtype"])
    model.load_state_dict(state)
    model.notes = dict(notes)
    return model
