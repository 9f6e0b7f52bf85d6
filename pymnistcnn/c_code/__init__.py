"""A network as C code: one C99 file that needs no library, no heap and no files, in float32 or in int8.

steps.py      what the network computes, step by step
float32.py    the steps as C code, with the bits of the kernels without FMA
quantized.py  the steps in whole numbers, calibrated, and what they compute, in NumPy
int8.py       these as C code
memory.py     where values lie in the one static array
writing.py    the text; the functions are in the folders float32 and int8
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..checks import checked_path, yes_or_no
from ..datasets import Dataset, atomic_write
from ..target import ISAS, target_of
from .float32 import Float32
from .int8 import Int8
from .quantized import quantized
from .steps import steps_of
from .testing import main_of
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

    def predict_outputs(self, inputs) -> np.ndarray:
        """What the C code computes of inputs (n, *input_shape): outputs (n, classes) float32, computed here."""
        inputs = self.network.inputs(inputs)
        if self.whole is None:
            return self.network.predict(inputs, target_of(ISAS[0]))
        return self.whole.outputs(inputs)

    def predict(self, inputs) -> np.ndarray:
        """The class (n,) with the largest output for each of inputs (n, *input_shape)."""
        return self.predict_outputs(inputs).argmax(axis=1)

    def score(self, inputs, labels) -> float:
        """Accuracy on inputs (n, *input_shape) and labels (n,)."""
        inputs = self.network.inputs(inputs)
        return float((self.predict(inputs) == self.network.class_labels(labels, len(inputs))).mean())


def export(network, path, int8=False, calibration=None, test=None) -> CCode:
    """Write a network to `path`: see Sequential.to_c."""
    path = checked_path("path", path)
    calibration, test = inputs_of(network, calibration, "calibration"), inputs_of(network, test, "test")
    code = c_code(network, yes_or_no("int8", int8), calibration, test, prefix_of(path))
    with atomic_write(path) as file:
        file.write(code.text.encode())
    return code


def inputs_of(network, given, name):
    """Inputs, of a Dataset or as they are, or None."""
    if given is None:
        return None
    return network.inputs(given.images if isinstance(given, Dataset) else given, f"{name} inputs")


def prefix_of(path) -> str:
    """What the names begin with that other files see: the file's name, as far as C can say it."""
    return re.sub(r"\W", "_", re.sub(r"^(?=\d)", "_", Path(path).stem), flags=re.ASCII) or "model"


def c_code(network, int8, calibration, test, prefix) -> CCode:
    source = Source(prefix)
    if int8:
        if calibration is None:
            raise ValueError("int8 needs calibration: some hundred training pictures, such as train.images[:1000]")
        bytes_in = calibration.dtype == np.uint8
        whole = quantized(steps_of(network), calibration)
        writer = Int8(whole, source)
    else:
        if network.dtype != np.float32:
            raise ValueError(f"C code computes in float32, this network in {network.dtype}: export it with int8, or "
                             "load its weights into a network of dtype float32")  # fmt: skip
        whole, steps = None, steps_of(network)
        bytes_in = steps.scale != 1 if test is None else test.dtype == np.uint8
        writer = Float32(steps, source)
    writer.write()
    code = CCode("", writer.layout.elements * writer.bytes, source.constant_bytes, network, whole)
    main = "" if test is None else main_of(code, test, source)
    return CCode(text_of(code, source, writer, bytes_in, main), code.ram, code.flash, network, whole)


HEAD = """\
/* A network, written by pymnistcnn. It is called by
 *
 *     void {prefix}_predict(const {input} input[{inputs}], float output[{outputs}]);
 *
 * input: a sample {shape}{rescaled}; output: {shape_out}.
 * RAM {ram:,} bytes (`memory`), constants {flash:,} bytes. C99, no library; not for two threads at a time.
 * {precision} */
#include <stdint.h>

#ifndef MODEL_INPUT
#define MODEL_INPUT {input}
#endif
"""
FLOAT32 = """\
Outputs have the bits of isa="portable" if additions and multiplications are rounded one by one: with gcc
 * -std=c99 or -ffp-contract=off, on 32-bit x86 -msse2 -mfpmath=sse. Numbers below 2**-126 may differ."""
INT8 = "In whole numbers: activations are uint8, weights int8, sums int32; any compiler gives the same bits."
PRAGMA = """
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
"""


def text_of(code, source, writer, bytes_in, main) -> str:
    network = code.network
    shape, shape_out = (" x ".join(map(str, s)) for s in (network.input_shape, network.output_shape))
    head = HEAD.format(
        prefix=source.prefix, input="uint8_t" if bytes_in else "float", inputs=np.prod(network.input_shape),
        outputs=np.prod(network.output_shape), shape=shape, shape_out=shape_out,
        rescaled=", as pictures are" * bytes_in, ram=code.ram, flash=code.flash,
        precision=FLOAT32 if code.whole is None else INT8,
    )  # fmt: skip
    memory = f"static {writer.ctype} memory[{max(1, code.ram // writer.bytes)}];\n"
    predict = [f"void {source.prefix}_predict(const MODEL_INPUT *input, float *output);",
               f"void {source.prefix}_predict(const MODEL_INPUT *input, float *output) {{",
               *source.calls, "}", ""]  # fmt: skip
    parts = [head, PRAGMA.lstrip("\n"), *source.functions.values(), *source.arrays, "\n".join(source.shapes) + "\n", memory,
             "\n".join(predict), main]  # fmt: skip
    return "\n".join(part for part in parts if part)
