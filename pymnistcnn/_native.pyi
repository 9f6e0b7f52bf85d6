# What _native.pyx offers.
from enum import IntEnum
from typing import Any, NamedTuple, Self

import numpy as np
from typing_extensions import disjoint_base

__version__: str
OP_WORDS: int
COEFFICIENTS: int

# Their members are csrc's lists; packaging/stub_enums.py writes them here.
class Op(IntEnum):
    INPUT = 0
    OUTPUT = 1
    FLATTEN_FORWARD = 2
    FLATTEN_BACKWARD = 3
    CONV_PACK = 4
    CONV_FORWARD = 5
    CONV_WEIGHT_GRADIENT = 6
    CONV_INPUT_GRADIENT = 7
    POOL_FORWARD = 8
    POOL_BACKWARD = 9
    AVERAGE_FORWARD = 10
    AVERAGE_BACKWARD = 11
    LINEAR_PACK = 12
    LINEAR_FORWARD = 13
    LINEAR_WEIGHT_GRADIENT = 14
    LINEAR_INPUT_GRADIENT = 15
    LINEAR_SPARSE_FORWARD = 16
    LINEAR_TILE_FORWARD = 17
    LINEAR_TILE_WEIGHT_GRADIENT = 18
    LINEAR_TILE_INPUT_GRADIENT = 19
    ACTIVATION_FORWARD = 20
    ACTIVATION_BACKWARD = 21
    ADD = 22
    DROPOUT = 23
    NOISE = 24
    WARP_FORWARD = 25
    WARP_BACKWARD = 26
    MORPHOLOGY_FORWARD = 27
    MORPHOLOGY_BACKWARD = 28
    ROUNDING = 29
    ERASE = 30
    NORM_MOMENTS = 31
    NORM_STATISTICS = 32
    NORM_FOLD = 33
    NORM_APPLY = 34
    NORM_GRADIENT_SUMS = 35
    NORM_GRADIENT = 36
    NORM_INPUT_GRADIENT = 37
    SOFTMAX_FORWARD = 38
    SOFTMAX_BACKWARD = 39
    LOG_SOFTMAX_FORWARD = 40
    LOG_SOFTMAX_BACKWARD = 41
    CROSS_ENTROPY = 42
    LIKELIHOOD = 43
    EXPECTED_PROBABILITY = 44
    SQUARED_ERROR = 45
    GRADIENT_SQUARES = 46
    UPDATE = 47

class Arena(IntEnum):
    NOWHERE = 0
    PARAM = 1
    GRADIENT = 2
    PACK = 3
    BATCH = 4
    SHARD = 5
    THREAD = 6

class Program(IntEnum):
    PREPARE = 0
    TRAIN = 1
    EVALUATE = 2
    PREDICT = 3
    FORWARD = 4
    BACKWARD = 5

class OptimizerKind(IntEnum):
    GRADIENT_ONLY = 0
    SGD = 1
    ADAM = 2
    RMSPROP = 3
    ADAGRAD = 4

class ActivationKind(IntEnum):
    IDENTITY = 0
    RELU = 1
    TANH = 2
    LEAKY_RELU = 3
    ELU = 4
    SIGMOID = 5
    SOFTPLUS = 6
    GELU = 7
    GELU_TANH = 8
    SILU = 9
    HARDSWISH = 10

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

@disjoint_base
class Target(NamedTuple):
    device: str
    isa: str
    precision: str

TARGETS: tuple[Target, ...]

class NotFinite(FloatingPointError):
    layer: int
    done: int
    def __init__(self, layer: int, done: int) -> None: ...

@disjoint_base
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
    def copy(self) -> Plan: ...
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
    def predict(self, x: np.ndarray, y: np.ndarray, param: np.ndarray, threads: int) -> None: ...

@disjoint_base
class Resident:
    def __new__(cls, target: Target, array: np.ndarray) -> Self: ...

TOO_LARGE: str

def named_op(ops: Any, i: int) -> str: ...
def extents(ops: Any, sizes: dict[str, int]) -> np.ndarray: ...
def padded(n: int) -> int: ...
def target_pairs(target: Target) -> bool: ...
def target_problem(target: Target) -> str | None: ...
def target_slow(target: Target) -> bool: ...
def cuda_build() -> tuple[str, str] | None: ...
def default_threads() -> int: ...
def usable_threads(threads: int) -> int: ...
def openmp_runtime() -> str: ...
def fma_peak(target: Target, repeats: int, dtype: int = 0) -> float: ...
def products_elements(inputs: int, outputs: int, n: int) -> int: ...
def products(
    target: Target, inputs: int, outputs: int, n: int, packs: bool, room: np.ndarray, repeats: int
) -> float: ...
def read_rows(file: int, start: int, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> int: ...
def samples_of(rank: int, ranks: int, n: int) -> tuple[int, int]: ...
def philox(counter: Any, key: Any) -> np.ndarray: ...
def words_of(samples: Any, stream: int, epoch: int, seed: int) -> np.ndarray: ...
