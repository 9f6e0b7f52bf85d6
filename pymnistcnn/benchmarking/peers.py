"""Peers: other libraries that do the same, each in a process of its own, at the best of its settings.

What is to be done goes to a peer as data: the layers of our network with their settings and shapes, its loss and its
optimizer, by name. So there is one definition of every network, and a peer only says what a layer is in its library.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import numpy as np

from .. import datasets
from .._types import Shape, StrPath
from ..layers import Rescaling
from ..model import Sequential
from ..network import shapes_through
from ..target import on_processor
from .workers import Worker, WorkerFailed

LEFT_OUT = "MXNet 1.9.1 is left out: it needs Python 3.8 and NumPy below 1.24."
HOW_CHOSEN = (
    "A peer runs at its best of 1 and 2 threads, PyTorch also of contiguous and channels last, eager and compiled. The "
    "best is found first: of all settings at a network's own batch; elsewhere, as compiling takes 20 to 60 s, of all "
    "the eager ones and the compiled one with the best eager's threads and layout. JAX is always jitted, in NHWC. "
    "ONNX Runtime and OpenVINO read the network from a file and get its pictures as floats. "
    "On a GPU PyTorch compiles with CUDA graphs (reduce-overhead), and its optimizers are fused where it has such."
)
# A peer is held to the instructions that ours uses. What is not here is not held.
HELD = {"avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}}


@dataclass(frozen=True)
class Setting:
    """How a peer runs."""

    threads: int
    channels_last: bool = False
    compiled: bool = False

    def text(self) -> Any:
        words = [f"{self.threads} thread" + "s" * (self.threads > 1)]
        return ", ".join(words + ["channels last"] * self.channels_last + ["compiled"] * self.compiled)


@dataclass(frozen=True)
class Peer:
    """A library: its name, the module to import, its script, the settings it has on the processor and on a GPU; the
    tasks and precisions that it has, the one network and batch that it can do (any if not given), and whether it reads
    the network from a file that we export."""

    name: str
    module: str
    script: str
    settings: tuple[Setting, ...]
    on_gpu: tuple[Setting, ...] = ()
    tasks: tuple[str, ...] = ("training", "inference", "kernel")
    precisions: tuple[str, ...] = ("full", "tf32")
    network: str | None = None
    batch: int | None = None
    reads_onnx: bool = False

    def does(self, network: str, task: str, batch: int, precision: str) -> bool:
        possible = task in self.tasks and precision in self.precisions
        return possible and self.network in (None, network) and self.batch in (None, batch)


PYTORCH, ONNX_RUNTIME, OPENVINO = "PyTorch", "ONNX Runtime", "OpenVINO"
DDP, NUMPY = "PyTorch DDP, gloo", "the tutorial's NumPy code"
OF_OTHERS = (DDP, NUMPY)  # whose versions are told by others' names
EVERY = tuple(Setting(*how) for how in itertools.product((1, 2), (False, True), (False, True)))
THREADS = (Setting(1), Setting(2))
ON_GPU = tuple(setting for setting in EVERY if setting.threads == 1)
DEPLOYED: dict[str, Any] = dict(tasks=("inference", "serving"), reads_onnx=True)
PEERS = (
    Peer(PYTORCH, "torch", "pytorch.py", EVERY, ON_GPU, precisions=("full", "tf32", "bf16")),
    Peer("JAX", "jax", "plain_jax.py", THREADS, THREADS[:1]),
    Peer("Keras on JAX", "keras", "keras_on_jax.py", THREADS, tasks=("training",)),
    Peer("scikit-learn", "sklearn", "scikit_learn.py", THREADS, tasks=("training",), network="mxnet-mlp"),
    Peer(ONNX_RUNTIME, "onnxruntime", "onnx_runtime.py", THREADS, **DEPLOYED),
    Peer(OPENVINO, "openvino", "open_vino.py", THREADS, precisions=("full", "bf16"), **DEPLOYED),
    Peer(DDP, "torch", "pytorch_ddp.py", EVERY[:4:2], tasks=("distributed",)),
    Peer(NUMPY, "numpy", "numpy_scratch.py", (Setting(1),), tasks=("training",), network="scratch", batch=1),
)


@dataclass(frozen=True)
class Found:
    """A peer that is installed: who imports it, where its script is."""

    peer: Peer
    python: str
    script: Path
    version: str

    def start(self, job: Any, setting: Any, isa: str | None) -> Worker:
        name = f"{self.peer.name} ({setting.text()})"
        # PyTorch's cache does not tell instruction sets apart: code compiled for one corrupts memory under another.
        cache = {"TORCHINDUCTOR_CACHE_DIR": f"{gettempdir()}/pymnistcnn-inductor-{os.getuid()}-{isa}"}
        return Worker(
            name,
            [self.python, str(self.script)],
            {**job, **asdict(setting)},
            {**environment(), **HELD.get(isa, {}), **cache},
        )

    def best(self, job: Any, isa: str | None, thorough: bool, seconds: float) -> Any:
        """The fastest setting, or None, and a line for each that failed. `thorough` tries all of them; else the
        compiled one is only tried with the best eager one's threads and layout. A try is as long as three rounds: the
        best should not be missed for a moment's noise."""
        speeds, failures = {}, []

        def attempt(setting):
            try:
                with self.start(job, setting, isa) as worker:
                    speeds[setting] = worker.measure(3 * seconds)["images_per_second"]
            except WorkerFailed as failure:
                failures.append(str(failure))

        settings = self.peer.settings if on_processor(isa) else self.peer.on_gpu
        for setting in settings:
            if thorough or not setting.compiled:
                attempt(setting)
        if speeds and not thorough:
            compiled = replace(max(speeds, key=speeds.get), compiled=True)
            if compiled in settings:
                attempt(compiled)
        return max(speeds, key=speeds.get, default=None), failures


def find(pythons: Any, folder: StrPath) -> tuple[list[Found], list[str]]:
    """Each peer with the first Python that has it, and a line for each that is missing."""
    found, missing = [], []
    for peer in PEERS:
        script = Path(folder) / peer.script
        if not script.is_file():
            missing.append(f"{peer.name} is missing: there is no {script} (see --peer-folder).")
            continue
        if peer.reads_onnx and importlib.util.find_spec("onnx") is None:
            missing.append(f"{peer.name} is left out: it reads what we export by pip install 'pymnistcnn[onnx]'.")
            continue
        versions = [(python, version_of(peer.module, python)) for python in pythons]
        having = next(((python, version) for python, version in versions if version), None)
        if having:
            found.append(Found(peer, having[0], script, having[1]))
        else:
            missing.append(
                f"{peer.name} is missing: no module {peer.module} in {', '.join(pythons)} (see --peer-python)."
            )
    return found, missing


def version_of(module: str, python: Any) -> Any:
    """The version of a module that a Python has, without importing it; None if it has none."""
    code = f"""
import sys, importlib.metadata, importlib.util
sys.path = [folder for folder in sys.path if folder]  # a folder of that name, right here, is no library
if importlib.util.find_spec("{module}"):
    print(importlib.metadata.version(importlib.metadata.packages_distributions()["{module}"][0]))
"""
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, env=environment())
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def environment() -> dict[str, str]:
    """Without what makes our Python find our modules: a peer's may be another one."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


# ---- what peers get ----


@contextmanager
def data_folder() -> Iterator[Any]:
    """A folder with the digits as .npy files, while it lasts."""
    with TemporaryDirectory() as folder:
        for name, digits in zip(("training", "inference"), datasets.mnist(), strict=True):
            np.save(f"{folder}/{name}_images.npy", digits.images)
            np.save(f"{folder}/{name}_labels.npy", digits.labels)
        yield folder


def onnx_file(name: str, layers: Any, input_shape: Shape, folder: StrPath) -> str:
    """Where a network lies as an ONNX file of random weights, which takes scaled pictures."""
    path = Path(folder) / f"{name}.onnx"
    if not path.exists():
        fresh = [type(layer)(**layer.settings()) for layer in layers if not isinstance(layer, Rescaling)]
        Sequential(fresh, input_shape=input_shape).to_onnx(path)
    return str(path)


def described(layers: Any, input_shape: Shape) -> list[dict[str, Any]]:
    """Each layer as its type, the shape of a sample before it, and its settings. Peers get scaled pictures."""
    shapes = shapes_through(layers, input_shape)
    return [
        {"type": type(layer).__name__, "shape": shape, **layer.settings()}
        for layer, shape in zip(layers, shapes, strict=False)
        if not isinstance(layer, Rescaling)
    ]
