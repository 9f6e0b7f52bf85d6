"""The types that annotations share."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
ArrayLike: TypeAlias = npt.ArrayLike
DTypeLike: TypeAlias = npt.DTypeLike
Shape: TypeAlias = tuple[int, ...]
StrPath: TypeAlias = str | os.PathLike[str]
