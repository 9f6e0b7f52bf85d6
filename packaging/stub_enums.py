"""Writes the members of csrc's lists into pymnistcnn/_native.pyi, from the compiled module.

Run it after csrc has another operation, activation or optimizer; `stubtest pymnistcnn._native` says if it was not.
"""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

from pymnistcnn import _native

STUB = Path(__file__).resolve().parent.parent / "pymnistcnn/_native.pyi"


def body(kind: type[IntEnum]) -> str:
    return f"class {kind.__name__}(IntEnum):\n" + "".join(f"    {one.name} = {one.value}\n" for one in kind)


def main():
    text = STUB.read_text()
    for kind in (_native.Op, _native.Arena, _native.Program, _native.OptimizerKind, _native.ActivationKind):
        text = re.sub(rf"class {kind.__name__}\(IntEnum.*?\n(?=\n)", lambda _, kind=kind: body(kind), text, flags=re.S)
    STUB.write_text(text)


if __name__ == "__main__":
    main()
