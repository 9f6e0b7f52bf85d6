# What _native.pyx offers.
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

__version__: str
OP_WORDS: int
COEFFICIENTS: int

# Their members come from csrc's lists, when the module is imported.
class Op(IntEnum):
    def __getattr__(self, name: str) -> Any: ...

class Arena(IntEnum):
    def __getattr__(self, name: str) -> Any: ...

class Program(IntEnum):
    def __getattr__(self, name: str) -> Any: ...

class OptimizerKind(IntEnum):
    def __getattr__(self, name: str) -> Any: ...

class ActivationKind(IntEnum):
    def __getattr__(self, name: str) -> Any: ...

class Constant:
    def __getattr__(self, name: str) -> int: ...

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
    def run(self, program: int, *, threads: int, **arguments: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

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
