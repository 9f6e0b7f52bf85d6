"""Where to compute: on the processor, or on an NVIDIA GPU."""

from __future__ import annotations

import warnings

from . import _native
from .network import checked_isa

__all__ = ["devices"]

DEVICES = ("cpu", "cuda", "auto")
PRECISIONS = ("full", "tf32", "bf16")


def devices() -> list[str]:
    """What this build, on this machine, computes on; the fastest comes last.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> "cpu" in pm.devices()
    True
    """
    return ["cpu"] + ["cuda"] * (cuda_problem() is None)


def cuda_problem() -> str | None:
    """Why there is no "cuda" on this machine, in this build; None: there is."""
    if "cuda" not in _native.devices():
        return "this build is without CUDA: pip install . -C cmake.define.PYMNISTCNN_CUDA=ON"
    return _native.device_problem("cuda")


def checked_device(device: str | None, isa: str | None, precision: str | None = None) -> str:
    """The instruction set to run with: the processor's, `isa`, or a device's. "auto" is "cuda" where there is one, and
    warns where there is none; None means the processor. ValueError for a device that is not there, and for a precision
    that it has not."""
    if precision not in (None, *PRECISIONS):
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    suffix = "" if precision in (None, "full") else f"-{precision}"
    if device in (None, "cpu"):
        if suffix:
            raise ValueError(f"precision {precision!r} is of a GPU's tensor cores: it needs device 'cuda'")
        return checked_isa(isa)
    if device == "emulated":  # for tests: CUDA's kernels on the processor, very slowly
        return device + suffix
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {device!r}")
    if isa is not None:
        raise ValueError(f"isa {isa!r} is the processor's: it says nothing about device {device!r}")
    problem = cuda_problem()
    if problem is None:
        return "cuda" + suffix
    if device == "cuda":
        raise ValueError(f"device 'cuda' cannot be used: {problem}")
    in_full = ", in full precision" if suffix else ""
    warnings.warn(f"device 'auto' is the processor here{in_full}: {problem}", stacklevel=3)
    return checked_isa(None)
