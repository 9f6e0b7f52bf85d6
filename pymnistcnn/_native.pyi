# What _native.pyx offers to plan.py, network.py and optimizers.py.
from enum import IntEnum
from typing import Any

import numpy as np

__version__: str
OP_WORDS: int
COEFFICIENTS: int

class Op(IntEnum): ...
class Arena(IntEnum): ...
class Program(IntEnum): ...
class Port(IntEnum): ...

class Constant:
    PAD: int
    ALIGN: int
    GUARD: int
    TILE_COLUMNS: int
    DEAD: int
    SCOPE_SHARD: int
    SCOPE_TILES: int
    IDENTITY: int
    RELU: int
    TANH: int
    LEAKY_RELU: int
    ELU: int
    SIGMOID: int
    SOFTPLUS: int
    NORM_SCALE: int
    NORM_SHIFT: int
    NORM_ROWS: int
    EVENTS: int
    SQUARES: int
    GRADIENT_ONLY: int
    SGD: int
    ADAM: int
    RMSPROP: int
    ADAGRAD: int
    MOMENTS: int
    REFS: int
    FIELDS: int
    OP_KINDS: int

class NotFinite(FloatingPointError):
    layer: int
    done: int

class Plan:
    def __init__(
        self,
        sizes: dict[str, int],
        ops: np.ndarray,
        phases: np.ndarray,
        programs: np.ndarray,
        device: str | None = None,
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
        *,
        isa: str,
        threads: int,
        param: np.ndarray,
        gradient: np.ndarray,
        **arguments: Any,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...

class Resident:
    def __init__(self, device: str, array: np.ndarray) -> None: ...

def isas() -> list[str]: ...
def devices() -> list[str]: ...
def device_problem(name: str) -> str | None: ...
def device_twin(name: str, dtype: int, kind: int) -> str | None: ...
def cuda_build() -> tuple[str, str] | None: ...
def all_isas() -> list[str]: ...
def default_threads() -> int: ...
def openmp_runtime() -> str: ...
def fma_peak(isa: str, repeats: int, dtype: int = 0) -> float: ...
def philox(counter: Any, key: Any) -> np.ndarray: ...
