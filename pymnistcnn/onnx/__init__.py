"""The door to ONNX: `write`, a model to a file, and `from_onnx`, back.

    graph.py        a graph that is being written
    writing.py      each layer's nodes; the file
    files.py        a file that is read: hostile until it is checked
    tensors.py      what a value in a graph is, in our layers
    expressions.py  which layer computes what several nodes compute together
    operators.py    what each ONNX operator becomes; windows.py, elementwise.py, constants.py, too
    reading.py      a graph becomes a model

Without the onnx package this does not import, and says what to run.
"""

from ..extras import needed

needed("onnx", "onnx")

from .reading import from_onnx  # noqa: E402 - where onnx is missing, this is told first
from .writing import write  # noqa: E402

__all__ = ["from_onnx", "write"]
