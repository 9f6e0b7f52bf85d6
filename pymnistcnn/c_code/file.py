"""The C file: its head, functions, arrays, the call of the layers, and a main with test vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .writing import C_TYPES, numbers_text

if TYPE_CHECKING:
    from ..c_code import CCode
    from .writing import Source


HEAD = """\
/* A network, written by pymnistcnn. It is called by
 *
 *     void {prefix}_predict(const {input} input[{inputs}], float output[{outputs}]);
 *
 * input: a sample of {shape}; output: {shape_out}.
 * RAM {ram:,} bytes (`memory`), constants {flash:,} bytes. C99, no library; not for two threads at a time.
 *
{precision} */
#include <stdint.h>
"""
IN_FLOAT = """\
 * In float32: the outputs have the bits of isa="portable" if every operation is rounded by itself: gcc -std=c99 or
 * -ffp-contract=off, on 32-bit x86 -msse2 -mfpmath=sse. They may differ where numbers come below 2**-126. Inputs are
 * {input}, or what -DMODEL_INPUT=... says."""
IN_WHOLE_NUMBERS = """\
 * In whole numbers: activations are uint8, weights int8, sums int32. Every compiler gives the same bits, if
 * what is in float at the ends is rounded as it stands: gcc -std=c99 or -ffp-contract=off."""
CONTRACT = """\
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
"""
MODEL_INPUT = """\
#ifndef MODEL_INPUT
#define MODEL_INPUT {input}
#endif
"""
PREDICT = """\
void {prefix}_predict(const {input} *input, float *output);
void {prefix}_predict(const {input} *input, float *output) {{
{calls}
}}
"""


def text_of(code: CCode, source: Source, writer: Any, bytes_in: Any, main: Any) -> str:
    network, in_float = code.network, code.whole is None
    input_type = "uint8_t" if bytes_in else "float"
    shape, shape_out = (" x ".join(map(str, s)) for s in (network.input_shape, network.output_shape))
    head = HEAD.format(
        prefix=source.prefix, input=input_type, inputs=math.prod(network.input_shape),
        outputs=math.prod(network.output_shape), shape=shape, shape_out=shape_out, ram=code.ram, flash=code.flash,
        precision=(IN_FLOAT if in_float else IN_WHOLE_NUMBERS).format(input=input_type),
    )  # fmt: skip
    predict = PREDICT.format(
        prefix=source.prefix, input="MODEL_INPUT" if in_float else input_type, calls="\n".join(source.calls)
    )
    elements = writer.layout.elements
    parts = [
        *(head, CONTRACT, MODEL_INPUT.format(input=input_type) if in_float else "", *source.functions.values()),
        *(*source.arrays, *source.shapes, f"static {writer.ctype} memory[{elements}];\n" if elements else ""),
        *(predict, main),
    ]
    return "\n".join(part for part in parts if part)


# ---- test vectors ----

MAIN = """\
/* ---- {count} test vectors: gives 0 if all bits are those that were expected, else how many samples differ ---- */

static const {input} test_inputs[{count}][{inputs}] = {{
{input_rows}}};

/* the bits of the outputs */
static const uint32_t test_outputs[{count}][{outputs}] = {{
{output_rows}}};

int main(void) {{
    union {{
        float numbers[{outputs}];
        uint32_t bits[{outputs}];
    }} output;
    int sample, k, different = 0;
    for (sample = 0; sample < {count}; sample++) {{
        {prefix}_predict(test_inputs[sample], output.numbers);
        for (k = 0; k < {outputs}; k++)
            if (output.bits[k] != test_outputs[sample][k]) break;
        different += k < {outputs};
    }}
    return different < 255 ? different : 255;
}}
"""


def main_of(code: CCode, test: Any, source: Source) -> str:
    """For inputs (n, *input_shape)."""
    outputs = np.ascontiguousarray(code.predict_outputs(test), np.float32)
    input_rows, output_rows = (
        "".join(f"{{\n{numbers_text(row)}}},\n" for row in rows) for rows in (test, outputs.view(np.uint32))
    )
    return MAIN.format(
        count=len(test), inputs=test[0].size, outputs=outputs[0].size, input_rows=input_rows, output_rows=output_rows,
        input="MODEL_INPUT" if code.whole is None else C_TYPES[test.dtype.name], prefix=source.prefix,
    )  # fmt: skip
