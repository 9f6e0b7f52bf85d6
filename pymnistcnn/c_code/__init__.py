"""A network as C code: one C99 file that needs no library, no heap and no files, in float32 or in int8.

    steps.py         what the network computes, step by step
    float32.py       the steps as C code, with the bits of the kernels without FMA
    rewriting.py     the steps made ready for whole numbers
    quantization.py  the steps in whole numbers, calibrated, and what they compute, in NumPy
    int8.py          these as C code
    memory.py        where values lie in the one static array
    writing.py       the text; the functions that it takes are in the folders float32 and int8
    file.py          the whole file, and its test vectors

The functions in C are as plain as can be: one loop in the other, each sum in the order that gives the bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array, ArrayLike, StrPath
from ..checks import checked_path, yes_or_no
from ..datasets import Dataset, atomic_write
from ..predictor import classes_of
from ..target import ISAS, target_of
from .file import main_of, text_of
from .float32 import Float32
from .int8 import Int8
from .quantization import quantized
from .steps import steps_of
from .writing import Source

__all__ = ["CCode", "export"]


@dataclass(frozen=True)
class CCode:
    """What was written: `text`, the file; `ram`, bytes of static buffers; `flash`, bytes of constants, to which comes
    the code; the caller's own arrays, the input and the output, are not counted."""

    text: str
    ram: int
    flash: int
    network: object
    whole: object = None  # the steps in whole numbers

    def predict_outputs(self, inputs: ArrayLike | Dataset) -> np.ndarray:
        """What the C code computes of inputs (n, *input_shape), or of a Dataset: outputs (n, classes) float32, computed
        here."""
        inputs = self.network.inputs(inputs.images if isinstance(inputs, Dataset) else inputs)
        if self.whole is None:
            return self.network.predict(inputs, target_of(ISAS[0]))
        return self.whole.outputs(inputs).reshape(len(inputs), *self.network.output_shape)

    def predict(self, inputs: ArrayLike) -> np.ndarray:
        """The class (n,) with the largest output for each of inputs (n, *input_shape); of a network with one output
        its value (n,)."""
        return classes_of(self.predict_outputs(inputs))

    def score(self, inputs: ArrayLike | Dataset, labels: ArrayLike | None = None) -> float:
        """Accuracy on inputs (n, *input_shape) and labels (n,), or on a Dataset."""
        inputs, labels = inputs if isinstance(inputs, Dataset) else (inputs, labels)
        classes = self.predict(inputs)
        return float((classes == self.network.class_labels(labels, len(classes))).mean())


def export(network: Any, path: StrPath, int8: bool = False, calibration: Any = None, test: Any = None) -> CCode:
    """Write a network to `path`: see Sequential.to_c."""
    path = checked_path("path", path)
    calibration, test = inputs_of(network, calibration, "calibration"), inputs_of(network, test, "test")
    code = c_code(network, yes_or_no("int8", int8), calibration, test, prefix_of(path))
    with atomic_write(path) as file:
        file.write(code.text.encode())
    return code


def inputs_of(network: Any, given: Any, name: str) -> Array | None:
    """uint8 or float32 inputs, of a Dataset or as they are; or None."""
    if given is None:
        return None
    x = network.inputs(given.images if isinstance(given, Dataset) else given, f"{name} inputs")
    return x if x.dtype == np.uint8 else x.astype(np.float32, copy=False)


def prefix_of(path: StrPath) -> str:
    """What the names begin with that other files see: the file's name, as far as C can say it."""
    return re.sub(r"\W", "_", re.sub(r"^(?=\d)", "_", Path(path).stem), flags=re.ASCII) or "model"


def c_code(network: Any, int8: bool, calibration: Array | None, test: Array | None, prefix: str) -> CCode:
    """test: inputs for a main with test vectors, or None."""
    source, whole = Source(prefix), None
    if calibration is not None and not int8:
        raise ValueError("calibration is for int8=True: in float32 there is nothing to measure")
    if int8:
        if calibration is None:
            raise ValueError("int8 needs calibration: some hundred training pictures, such as train.images[:1000]")
        whole = quantized(steps_of(network), calibration)
        writer, bytes_in = Int8(whole, source), whole.bytes_in
    else:
        if network.dtype != np.float32:
            raise ValueError(f"C code computes in float32, this network in {network.dtype}: export it with int8=True")
        steps = steps_of(network)
        writer, bytes_in = Float32(steps, source), steps.scale != 1 if test is None else test.dtype == np.uint8
    if test is not None and (test.dtype == np.uint8) != bytes_in:
        raise ValueError(f"test inputs must be like the calibration, {calibration.dtype}, not {test.dtype}")
    writer.write()
    code = CCode("", writer.layout.elements * writer.bytes, source.constant_bytes, network, whole)
    main = "" if test is None else main_of(code, test, source)
    return replace(code, text=text_of(code, source, writer, bytes_in, main))
