"""A graph becomes a model: its nodes, in order, are asked what they make of what they get."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from .. import layers
from .._types import StrPath
from ..checks import checked_path, instance, names_in, shown
from ..layers.residual import named_leaves
from ..loading import check_budget
from ..model import Sequential
from . import elementwise, windows  # noqa: F401 - they bring their operators
from .constants import FUNCTIONS, computed
from .files import DOMAINS, File
from .operators import OPERATORS, Node, attributes_of
from .tensors import Tensor, Ways

if TYPE_CHECKING:
    from ..layers import Rescaling


INPUTS = {getattr(TensorProto, name) for name in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "UINT8")}


def from_onnx(
    path: StrPath, *, rescaling: Rescaling | None = None, max_bytes: int = 2**30, max_work: int = 10**11
) -> Sequential:
    """The model that an ONNX file's graph is, if it is one of layers that there are, one after the other, and of
    residual blocks.

    Parameters
    ----------
    path : of the file; weights in other files of its folder are found
    rescaling : a Rescaling to put before it, such as Rescaling(1 / 255) if it takes numbers from 0 to 1
    max_bytes, max_work : what reading, and predicting one sample, may take, as those of `pm.load`

    Pictures are NCHW, even if the graph takes NHWC or (n, height, width). Names of classes are in
    `notes["classes"]`, if the file has them in its metadata. ValueError, with the node's name and the reason, for what
    cannot be; MissingExtra without `pip install 'pymnistcnn[onnx]'`. A Keras file becomes ONNX first:
    `keras_model.export("model.onnx", format="onnx")`.

    Examples
    --------
    >>> import pymnistcnn as pm, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "tiny.onnx")
    >>> pm.Sequential([pm.Linear(4), pm.GELU(), pm.Linear(2)], input_shape=(3,)).to_onnx(path)
    >>> pm.from_onnx(path).layers
    [Linear(4), GELU(), Linear(2)]
    """
    path = checked_path("path", path)
    try:
        file = File(path, max_bytes)
        reader = Reader(file, Ways(max_bytes, max_work), rescaling)
        with np.errstate(all="ignore"):  # weights may be anything
            return reader.model(max_bytes, max_work)
    except (ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None


class Reader:
    """Values by name, as the nodes make them."""

    file: File
    ways: Ways
    values: dict[str, Any]
    tensors: dict[str, Any]
    input: Any

    def __init__(self, file: File, ways: Ways, rescaling: Rescaling | None = None) -> None:
        self.file, self.ways = file, ways
        self.values = {}
        self.tensors = {tensor.name: tensor for tensor in file.graph.initializer}
        self.input = self._input(rescaling)

    def _input(self, rescaling):
        given = [value for value in self.file.graph.input if value.name not in self.tensors]
        if len(given) != 1:
            raise ValueError(f"its graph must have one input, not {names_in([v.name for v in given]) or 'none'}")
        kind = given[0].type.tensor_type
        if kind.elem_type not in INPUTS:
            raise ValueError(f"its input {shown(given[0].name)} must be of floating-point numbers or uint8")
        if not kind.HasField("shape") or not kind.shape.dim:
            raise ValueError(f"its input {shown(given[0].name)} must have a shape with the batch in front")
        shape = [dim.dim_value for dim in kind.shape.dim[1:]]
        if any(n < 1 for n in shape):
            raise ValueError(f"its input {shown(given[0].name)} must have a known size but for the batch")
        self.ways.is_double, self.ways.batch = kind.elem_type == TensorProto.DOUBLE, kind.shape.dim[0].dim_value
        tensor = self.ways.input(tuple(shape))
        if rescaling is not None:
            instance("rescaling", rescaling, layers.Rescaling, "a Rescaling, such as pm.Rescaling(1 / 255)")
            rescaling = layers.Rescaling(**rescaling.settings())
            tensor = self.ways.after(tensor, rescaling, tensor.shape)
        self.values[given[0].name] = tensor
        return given[0].name

    def value(self, name: str) -> Any:
        """What a node reads; None for what it leaves out."""
        if name == "":
            return None
        if name not in self.values and name in self.tensors:
            self.values[name] = self.file.array(self.tensors[name])
        if name not in self.values:
            raise ValueError(f"it reads {shown(name)}, which nothing before it makes")
        return self.values[name]

    def needed(self) -> list[Any]:
        """The nodes that the output comes from, in order."""
        outputs = [value.name for value in self.file.graph.output]
        if len(outputs) != 1:
            raise ValueError(f"its graph must have one output, not {names_in(outputs) or 'none'}")
        wanted, nodes, made = set(outputs), [], set()
        for node in reversed(self.file.graph.node):
            names = {name for name in node.output if name}
            if names & made or names & self.tensors.keys() or self.input in names:
                raise ValueError(f"{label(node)}: it makes what is there already")
            made |= names
            if names & wanted:
                nodes.append(node)
                wanted.update(node.input)
        return nodes[::-1]

    def run(self, proto: Any) -> Any:
        if proto.domain not in DOMAINS or proto.op_type not in {*OPERATORS, *FUNCTIONS, "Constant"}:
            raise ValueError("there is no layer for this operator")
        self.file.check(proto)
        attributes = attributes_of(proto)
        if proto.op_type == "Constant":
            return constant_of(self.file, attributes)
        node = Node(proto.op_type, attributes, [self.value(name) for name in proto.input], self.ways, self.file.opset)
        if node.inputs and all(value is None or isinstance(value, np.ndarray) for value in node.inputs):
            return computed(node, self.file)
        if proto.op_type not in OPERATORS:
            raise ValueError("it is known here only among constants")
        if proto.op_type == "Cast" and attributes.get("to") == TensorProto.DOUBLE:
            self.ways.is_double = True
        return OPERATORS[proto.op_type](node)

    def output(self) -> Tensor:
        for proto in self.needed():
            try:
                self.values[proto.output[0]] = self.run(proto)
            except (ValueError, TypeError, IndexError, RecursionError) as error:
                raise ValueError(f"{label(proto)}: {error}") from None
        name = self.file.graph.output[0].name
        try:
            value = Node("output", {}, [self.value(name)], self.ways, 0).tensor()
        except ValueError as error:
            raise ValueError(f"the output {shown(name)}: {error}") from None
        if value.order is not None:
            if not value.step.is_input:
                raise ValueError(f"the output {shown(name)}: its axes are in another order than our layers have")
            value = self.ways.replayed(value, value.step.shape)
        if len(value.shape) == 1 and len(value.step.shape) == 3:
            value = self.ways.features(value)
        return value

    def model(self, max_bytes: int, max_work: int) -> Sequential:
        way = self.output().step
        start, weights = way, {}
        while start.layer is not None:
            weights |= start.weights
            start = start.before
        several = [step.layer for step in way.way()] or [layers.Rescaling(1.0)]
        dtype = "float64" if self.ways.is_double else "float32"
        check_budget(several, start.shape, np.dtype(dtype), max_bytes, max_work)
        model = Sequential(several, start.shape, dtype=dtype)
        state = dict(model.state_dict())
        for name, leaf in named_leaves(several):
            state |= {f"{name}.{parameter}": array for parameter, array in weights.get(leaf, {}).items()}
        model.load_state_dict(state)
        classes = self.file.classes()
        if len(classes) == math.prod(model.output_shape):
            model.notes = {"classes": classes}
        return model


def constant_of(file: File, attributes: Any) -> np.ndarray:
    """The value of a Constant node, in any of its forms."""
    for name, dtype in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64),
                        ("value_ints", np.int64)):  # fmt: skip
        if name in attributes:
            return np.asarray(attributes[name], dtype)
    if "value" not in attributes:
        raise ValueError("a constant that is neither numbers nor a tensor")
    return file.array(attributes["value"])


def label(node: Node) -> str:
    """A node's name, for people."""
    name = node.name or f"that makes {', '.join(node.output)}"
    return f"node {shown(name)} ({shown(node.op_type)[1:-1]})"
