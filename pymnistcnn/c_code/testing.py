"""A main with test vectors: it compares outputs bit by bit, and gives the number of samples that differ."""

from __future__ import annotations

import numpy as np

from .writing import numbers_text

MAIN = """\
/* ---- {count} test vectors: 0 is returned if all bits are those that were expected, else how many samples differ ---- */

static const MODEL_INPUT test_inputs[{count}][{inputs}] = {{
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


def main_of(code, test, source) -> str:
    outputs = np.ascontiguousarray(code.predict_outputs(test), np.float32)
    rows = [[numbers_text(sample.ravel()) for sample in samples] for samples in (test, outputs.view(np.uint32))]
    input_rows, output_rows = ("".join(f"{{\n{row}}},\n" for row in part) for part in rows)
    return MAIN.format(
        count=len(test), inputs=test[0].size, outputs=outputs[0].size, input_rows=input_rows,
        output_rows=output_rows.replace(",", "u,").replace("}u,", "},"), prefix=source.prefix,
    )  # fmt: skip
