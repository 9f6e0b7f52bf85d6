"""Where to compute. A target is a device, its instruction set and the precision of products: one value, which a plan
knows. It is chosen here and nowhere else."""

from __future__ import annotations

import functools
import os
import warnings

from ._native import TARGETS, Target, target_pairs, target_problem, target_slow
from .checks import shown

__all__ = ["devices"]

DEVICES = ("cpu", "cuda", "auto")
PRECISIONS = ("full", "tf32", "bf16")
USABLE = [target for target in TARGETS if target_problem(target) is None]
ISAS, ISAS_OF_BF16 = (  # slowest first, but for those that are not to be chosen
    tuple(t.isa for t in sorted(USABLE, key=target_slow, reverse=True) if (t.device, t.precision) == ("cpu", precision))
    for precision in ("full", "bf16")
)
BY_NAME = {str(target): target for target in TARGETS}
CUDA = Target("cuda", "", "full")


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
    if CUDA not in TARGETS:
        return "this build is without CUDA: pip install . -C cmake.define.PYMNISTCNN_CUDA=ON"
    return target_problem(CUDA)


@functools.cache
def default_target(precision: str = "full") -> Target:
    """The processor with its widest instruction set, or with what PYMNISTCNN_ISA names."""
    widest = (ISAS if precision == "full" else ISAS_OF_BF16)[-1]
    return of_processor(os.environ.get("PYMNISTCNN_ISA") or widest, precision)


def on_processor(isa: str | None) -> bool:
    """Is what `target_of` takes by this name on the processor?"""
    return target_of(isa).device == "cpu"


def arithmetic_of(target: Target) -> str:
    """What the last bits depend on: targets with the same words give the same bits."""
    if target.device != "cpu":
        return str(target)
    if target_pairs(target):  # whose pairs of products other makers of processors might round otherwise
        return str(target)
    return "bf16 " * (target.precision == "bf16") + ("without FMA" if target.isa == ISAS[0] else "FMA")


def target_of(isa: str | None = None, device: str | None = None, precision: str | None = None) -> Target:
    """The target that these name.

    isa : an instruction set of the processor, or the name of any target, such as "cuda-tf32", or a Target
    device : "cpu"; "cuda"; or "auto", which is "cuda" where there is one, and warns where there is none
    precision : that of isa, or "full", if not given; of the processor it may be "bf16", too

    ValueError for what is not there, on this machine, and for a precision that the device, or isa, has not.
    """
    if isinstance(isa, Target):
        isa = str(isa)
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {shown(precision)}")
    named = BY_NAME.get(isa) if isinstance(isa, str) else None
    if named is not None and precision not in (None, named.precision) and named.precision != "full":
        raise ValueError(f"isa {shown(isa)} computes in {named.precision}, not in precision {shown(precision)}")
    precision = precision or "full"
    if device in (None, "cpu"):
        if precision == "tf32":
            raise ValueError(f"precision {shown(precision)} is of a GPU's tensor cores: it needs device 'cuda'")
        return default_target(precision) if isa is None else of_processor(isa, precision)
    if device == "emulated":  # for tests: CUDA's kernels on the processor, very slowly
        return Target(device, "", precision)
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {shown(device)}")
    if isa is not None:
        raise ValueError(f"isa {shown(isa)} is the processor's: it says nothing about device {shown(device)}")
    problem = cuda_problem()
    if problem is None:
        return Target("cuda", "", precision)
    if device == "cuda":
        raise ValueError(f"device 'cuda' cannot be used: {problem}")
    in_full = ", in full precision" if precision == "tf32" else ""
    warnings.warn(f"device 'auto' is the processor here{in_full}: {problem}", stacklevel=3)
    return default_target("bf16" if precision == "bf16" else "full")


def of_processor(isa: str, precision: str) -> Target:
    """The processor with an instruction set, in a precision; or any target by its name."""
    named = BY_NAME.get(isa) if isinstance(isa, str) else None
    if precision != "full" and (named is None or named.precision == "full"):
        named = Target("cpu", isa, precision)
    if named not in USABLE:
        isas = ISAS if precision == "full" else ISAS_OF_BF16
        raise ValueError(f"isa must be one of {', '.join(isas)} on this machine, not {shown(isa)}")
    return named
