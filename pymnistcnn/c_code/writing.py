"""The text of a C file: functions from the folders beside this file, arrays, and the calls of the layers."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import Array

if TYPE_CHECKING:
    from ..c_code import CCode


FOLDER = Path(__file__).parent
WIDTH, GLUE = 120, "\0=\0"


@dataclass
class Source:
    """What a C file is made of. `prefix` begins the names that other files see."""

    prefix: str
    functions: dict[str, str] = field(default_factory=dict)
    arrays: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    constant_bytes: int = 0

    def need(self, file: Any) -> Any:
        """A function of one of the folders, after those that it names in NEEDS."""
        if file not in self.functions:
            for other in NEEDS.get(file, ()):
                self.need(other)
            self.functions[file] = (FOLDER / f"{file}.h").read_text()
        return file.rpartition("/")[2]

    def define(self, name: str, text: Any) -> Any:
        """A function of its own; returns its name."""
        self.functions.setdefault(name, text)
        return name

    def array(self, name: str, numbers: Array) -> Any:
        """A constant array; returns its name."""
        numbers = np.ascontiguousarray(numbers)
        self.constant_bytes += numbers.nbytes
        self.arrays.append(array_text(name, numbers))
        return name

    def shape(self, kind: Any, name: str, **fields: list[bytes]) -> Any:
        """A constant struct; returns its address, in C."""
        values = ", ".join(f".{field} = {value}" for field, value in fields.items())
        self.shapes.append(wrapped(f"static const {kind} {name} = {{{values}}};") + "\n")
        return f"&{name}"

    def call(self, function: Any, *arguments: Any, comment: str = "") -> None:
        if comment:
            self.calls.append(f"    /* {comment} */")
        self.calls.append(wrapped(f"{function}({', '.join(map(str, arguments))});", "    "))


C_TYPES = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t"}


def array_text(name: str, numbers: Array) -> Any:
    shape = " x ".join(map(str, numbers.shape))
    head = f"/* {shape} */\n" if numbers.ndim > 1 else ""
    ctype = C_TYPES[numbers.dtype.name]
    return f"{head}static const {ctype} {name}[{numbers.size}] = {{\n{numbers_text(numbers)}}};\n"


def numbers_text(numbers: Array) -> Any:
    """Numbers one after the other, as many as fit a line; of floats all bits."""
    word_of = {np.dtype(np.float32): hexadecimal, np.dtype(np.uint32): "{}u".format}.get(numbers.dtype, str)
    lines, line = [], "   "
    for word in map(word_of, numbers.ravel()):
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line, ""])


def hexadecimal(number: int) -> str:
    """A float as C reads it, with all its bits and no more digits than they need."""
    return re.sub(r"\.?0*p", "p", float(number).hex()) + "f"


def wrapped(code: CCode, indent: str = "") -> Any:
    """In lines that are not too long, an assignment in one of them."""
    return textwrap.fill(
        code.replace(" = ", GLUE), WIDTH, initial_indent=indent, subsequent_indent=indent + "    ",
        break_long_words=False, break_on_hyphens=False,
    ).replace(GLUE, " = ")  # fmt: skip


# What the functions of a file call or read.
NEEDS = {
    "float32/rescale": ["float32/sizes"],
    "float32/conv_shape": ["float32/sizes"],
    "float32/chain": ["float32/conv_shape"],
    "float32/pieces": ["float32/conv_shape"],
    "float32/dot": ["float32/conv_shape", "float32/tree"],
    "float32/dot_pieces": ["float32/conv_shape", "float32/tree"],
    "float32/convolve": ["float32/conv_shape"],
    "float32/winograd": ["float32/conv_shape"],
    "float32/pool_shape": ["float32/sizes"],
    "float32/max_pool": ["float32/pool_shape", "float32/bits"],
    "float32/average_pool": ["float32/pool_shape"],
    "float32/channels_first": ["float32/sizes"],
    "float32/exponential": ["float32/bits"],
    "float32/exp": ["float32/exponential"],
    "float32/expm1": ["float32/exponential"],
    "float32/tanh": ["float32/exponential"],
    "float32/log": ["float32/bits"],
    "float32/log1p": ["float32/log"],
    "float32/logistic": ["float32/exp"],
    "float32/normal_share": ["float32/exp"],
    "float32/over_scores": ["float32/sizes"],
    "float32/softmax": ["float32/exp", "float32/tree", "float32/largest"],
    "float32/log_softmax": ["float32/exp", "float32/tree", "float32/largest", "float32/log"],
    "int8/conv_shape": ["float32/sizes"],
    "int8/convolve": ["int8/conv_shape", "int8/sum", "int8/requantized"],
    "int8/logits": ["int8/conv_shape", "int8/sum"],
    "int8/sum": ["int8/conv_shape"],
    "int8/requantized": ["int8/clamped"],
    "int8/pool_shape": ["float32/sizes"],
    "int8/max_pool": ["int8/pool_shape"],
    "int8/average_pool": ["int8/pool_shape"],
    "int8/add": ["int8/clamped"],
    "int8/quantize": ["float32/sizes"],
    "int8/channels_last": ["float32/sizes"],
    "int8/channels_first": ["float32/sizes"],
    "int8/dequantize": ["float32/sizes"],
}
