"""A file that is read. Whatever it claims, nothing is allocated that is not in it, and nothing is opened outside of its
folder."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from .._types import StrPath
from ..checks import names_in, shown
from ..files import brief, refuse_other_formats

if TYPE_CHECKING:
    from .tensors import Tensor


OLDEST_OPSET = 6
DOMAINS = "", "ai.onnx"
MOST_NODES = 5_000
TYPES = {
    getattr(TensorProto, name)
    for name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT64", "INT32", "UINT8", "INT8", "BOOL")
}


class File:
    """An ONNX file: its graph, its opset, and its constants."""

    folder: Path
    left: int
    proto: onnx.ModelProto
    graph: onnx.GraphProto
    opset: int

    def __init__(self, path: StrPath, max_bytes: int) -> None:
        refuse_other_formats(path, reader=".onnx")
        self.folder, self.left = Path(os.path.dirname(os.path.abspath(path))), max_bytes
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.spend(size)
            content = file.read(size)
        try:
            self.proto = onnx.ModelProto.FromString(content)
        except DecodeError as error:
            raise ValueError(f"not a readable ONNX file ({error})") from None
        self.graph = self.proto.graph
        self.opset = self._opset()
        if not self.graph.node or len(self.graph.node) > MOST_NODES:
            raise ValueError(f"its graph must have from 1 to {MOST_NODES:,} nodes, not {len(self.graph.node):,}")

    def spend(self, size: int) -> None:
        """Take so many bytes of those that reading may take."""
        self.left -= size
        if self.left < 0:
            raise ValueError("it takes more memory than max_bytes of pm.from_onnx allows")

    def _opset(self) -> int:
        versions = [opset.version for opset in self.proto.opset_import if opset.domain in DOMAINS]
        newest = onnx.defs.onnx_opset_version()
        if len(versions) != 1 or not OLDEST_OPSET <= versions[0] <= newest:
            given = names_in(versions) or "none"
            raise ValueError(
                f"its opset must be from {OLDEST_OPSET} to {newest}, the newest of the onnx package that is "
                f"installed, not {given}"
            )
        return versions[0]

    def check(self, node: onnx.NodeProto) -> None:
        """ValueError for a node with inputs or attributes that its operator has not."""
        context = type(onnx.checker.DEFAULT_CONTEXT)()
        context.ir_version, context.opset_imports = onnx.IR_VERSION, {"": self.opset}
        try:
            onnx.checker.check_node(node, context)
        except onnx.checker.ValidationError as error:
            raise ValueError(brief(error)) from None

    def array(self, tensor: Tensor) -> np.ndarray:
        """A constant's value."""
        what = f"the constant {shown(tensor.name)}"
        if tensor.data_type not in TYPES:
            raise ValueError(f"{what} is of a type that is not known here ({tensor.data_type})")
        dims, dtype = list(tensor.dims), helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if any(n < 0 for n in dims):
            raise ValueError(f"{what} has the dimensions {dims}")
        size = math.prod(dims) * dtype.itemsize
        self.spend(size)
        if tensor.data_location == TensorProto.EXTERNAL:
            array = np.frombuffer(self.external(tensor, size), dtype.newbyteorder("<")).reshape(dims)
        else:
            try:
                array = numpy_helper.to_array(tensor)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{what} is damaged: {error}") from None
            if list(array.shape) != dims:
                raise ValueError(f"{what} has not as many numbers as {dims} says")
        return array.astype(np.float32) if dtype.name in ("float16", "bfloat16") else array

    def external(self, tensor: Tensor, size: int) -> bytes:
        """A constant's bytes, which are in another file of the same folder."""
        about = {entry.key: entry.value for entry in tensor.external_data}
        path = Path(os.path.realpath(self.folder / about.get("location", "")))
        if not path.is_relative_to(os.path.realpath(self.folder)) or not path.is_file():
            raise ValueError(
                f"the constant {shown(tensor.name)} is in {shown(about.get('location'))}: not a file in the folder of "
                "this one"
            )
        offset, length = int(about.get("offset", 0)), int(about.get("length", size))
        with open(path, "rb") as file:
            if offset < 0 or length != size or offset + size > os.fstat(file.fileno()).st_size:
                raise ValueError(f"the constant {shown(tensor.name)} has not its {size:,} bytes in {path.name}")
            file.seek(offset)
            return file.read(size)

    def classes(self) -> list[str]:
        """Names of the outputs, if the file has them as `to_onnx` writes them."""
        import json

        found = [entry.value for entry in self.proto.metadata_props if entry.key == "classes"]
        try:
            names = json.loads(found[0]) if len(found) == 1 else []
        except (ValueError, RecursionError):
            names = []
        return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
