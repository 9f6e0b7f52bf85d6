# What _native.pyx offers.
from enum import EnumMeta, IntEnum
from typing import Any, NamedTuple

import numpy as np

__version__: str
OP_WORDS: int
COEFFICIENTS: int

# Their members come from csrc's lists, when the module is imported.
class _Named(EnumMeta):
    def __getattr__(cls, name: str) -> Any: ...

class Op(IntEnum, metaclass=_Named): ...
class Arena(IntEnum, metaclass=_Named): ...
class Program(IntEnum, metaclass=_Named): ...
class OptimizerKind(IntEnum, metaclass=_Named): ...
class ActivationKind(IntEnum, metaclass=_Named): ...

class Constant:
    PAD: int
    ALIGN: int
    GUARD: int
    LARGEST: int
    NO_GRADIENT: int
    PORT_X: int
    PORT_Y: int
    PORT_DY: int
    PORT_DX: int
    NORM_SCALE: int
    NORM_SHIFT: int
    NORM_ROWS: int
    MOMENTS: int
    REFS: int
    FIELDS: int

MONOTONE: frozenset[ActivationKind]
FROM_Y: frozenset[ActivationKind]

class Reference(NamedTuple):
    name: str
    each_sample: bool
    written: bool
    scratch: bool

class Operation(NamedTuple):
    tiles: bool
    references: tuple[Reference, ...]

OPERATIONS: tuple[Operation, ...]

class Target(NamedTuple):
    device: str
    isa: str
    precision: str

TARGETS: tuple[Target, ...]

class NotFinite(FloatingPointError):
    layer: int
    done: int

class Plan:
    def __init__(
        self, sizes: dict[str, int], ops: np.ndarray, phases: np.ndarray, programs: np.ndarray, target: Target
    ) -> None: ...
    @property
    def capacity(self) -> int: ...
    @property
    def workspace_bytes(self) -> dict[str, int]: ...
    @property
    def op_kinds(self) -> list[tuple[int, int]]: ...
    def poison(self, byte: int) -> None: ...
    def peek(self, offset: int, count: int) -> bytes: ...
    def run(
        self,
        program: int,
        threads: int,
        param: Any,
        gradient: Any,
        count: int,
        batch: int,
        x: Any = None,
        y: Any = None,
        seed: int = 0,
        **others: Any,
    ) -> tuple[Any, Any, Any]: ...

class Resident:
    def __init__(self, target: Target, array: np.ndarray) -> None: ...

def extents(ops: Any, sizes: dict[str, int]) -> np.ndarray: ...
def padded(n: int) -> int: ...
def target_problem(target: Target) -> str | None: ...
def cuda_build() -> tuple[str, str] | None: ...
def default_threads() -> int: ...
def usable_threads(threads: int) -> int: ...
def openmp_runtime() -> str: ...
def fma_peak(target: Target, repeats: int, dtype: int = 0) -> float: ...
def philox(counter: Any, key: Any) -> np.ndarray: ...
