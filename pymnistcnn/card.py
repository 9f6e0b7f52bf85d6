"""Model cards: what somebody who is given a network should know of it, in Markdown."""

from __future__ import annotations

import math
import re
from typing import Any

USE = """\
## Use

```python
import pymnistcnn as pm

model = pm.load("model.safetensors")
model.predict(inputs)
```"""
LIMITS = """\
## Limits

It answers one of its classes whatever it is given, and does not know what it was not trained on. Results hold for
inputs like those that it was tested on; other sources, pens and cameras want a test of their own."""
SPECIAL = re.compile(r"([\\`*_\[\]<>#|&~$])")  # what Markdown, or HTML in it, would obey


def card_of(model: Any, evaluation: Any = None) -> str:
    """The card of a Sequential; with the results of an Evaluation, if there is one."""
    parts = [opening(model), borders(model), training(model), results(evaluation), layers(model), USE]
    parts += [LIMITS] * (model.output_shape != (1,))
    return "\n\n".join(part for part in parts if part) + "\n"


def opening(model: Any) -> str:
    name = data_of(model).get("name")
    kind = "convolutional network" if any(type(layer).__name__ == "Conv2d" for layer in model.layers) else "network"
    title = f"Model card: {plain(name)}" if isinstance(name, str) and name else "Model card"
    parameters = model.summary_rows()[-1][2]
    return f"# {title}\n\nA {kind} of {len(model.layers)} layers and {parameters} parameters, made with pymnistcnn."


def borders(model: Any) -> str:
    shape = ", ".join(["n", *map(str, model.input_shape)])
    scaled = f"; the first layer is `{model.layers[0]}`" if type(model.layers[0]).__name__ == "Rescaling" else ""
    named = f", one for each class: {', '.join(map(plain, model.classes))}" if model.classes else ""
    return (
        f"## Inputs and outputs\n\n- Inputs: arrays of shape `({shape})`, uint8 or {model.dtype.name}{scaled}\n"
        f"- Outputs: {math.prod(model.output_shape)} numbers{named}"
    )


def training(model: Any) -> str:
    note = data_of(model)
    said = {"Data": note.get("name"), "sha256 of the training data": note.get("sha256")}
    lines = [f"- {what}: {plain(text)}" for what, text in said.items() if isinstance(text, str) and text]
    return "## Training\n\n" + ("\n".join(lines) or "- Data: unknown, as the network does not say")


def results(evaluation: Any) -> str:
    if evaluation is None:
        return ""
    lines = [] if math.isnan(evaluation.accuracy) else [f"- Accuracy: {evaluation.accuracy:.2%}"]
    return "\n".join(["## Results", "", *lines, f"- Mean loss: {evaluation.loss:.4f}", f"- Samples: {evaluation.n:,}"])


def layers(model: Any) -> str:
    head, *rows = model.summary_rows()
    lines = [head, ("---", "---:", "---:", "---:"), *((plain(row[0]), *row[1:]) for row in rows)]
    return "## Network\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def data_of(model: Any) -> dict[str, Any]:
    note = model.notes.get("data")
    return note if isinstance(note, dict) else {}


def plain(text: str) -> str:
    """Anybody's text, in one line, as text in Markdown."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return SPECIAL.sub(r"\\\1", line)
