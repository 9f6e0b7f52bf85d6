"""`pymnistcnn info`."""

from __future__ import annotations

import importlib
import platform
from typing import Any

import click
import numpy as np

from .. import __version__, _native, datasets
from ..openmp import openmp_runtimes
from ..processors import cpu_model
from ..target import ISAS, ISAS_OF_BF16, cuda_problem, devices, target_of
from .options import COMPUTE, JSON, print_json, sizes_of

ROUNDED = ", by factors that are rounded: about as fast as full precision"
SEVERAL = """\
                 Each of these has threads of its own. Results do not change, but two libraries that compute at the same
                 time share the processors: give each a part of them, by threads=, torch.set_num_threads() and the
                 like, or all the same number by OMP_NUM_THREADS."""


@click.command()
@click.option("--beside", metavar="MODULE", multiple=True, help="Import this first, as a program of yours does.")
@COMPUTE
@JSON
def info(beside: tuple[Any, ...], threads: int | None, isa: str | None, as_json: bool) -> None:
    """Show what this machine and this installation have."""
    for name in beside:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise click.BadParameter(f"{name} cannot be imported: {error}", param_hint="--beside") from error
    training, test = datasets.mnist()
    fields = {
        "pymnistcnn": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpu": cpu_model(),
        "isa": isa,
        "isas": ISAS,
        "isas_of_bf16": ISAS_OF_BF16,
        "threads": threads,
        "openmp": _native.openmp_runtime(),
        "openmp_runtimes": openmp_runtimes(),
        "devices": devices(),
        "cuda": cuda(),
        "train_images": len(training),
        "test_images": len(test),
    }
    if as_json:
        print_json(**fields)
        return
    click.echo(f"pymnistcnn       {__version__}, Python {fields['python']}, NumPy {fields['numpy']}")
    click.echo(f"processor        {fields['cpu']}")
    click.echo(f"instruction set  {isa} (available: {', '.join(fields['isas'])})")
    of_bf16 = target_of(isa if isa.endswith("-bf16") else ISAS_OF_BF16[-1], precision="bf16")
    click.echo(f"bf16             {of_bf16.isa}{'' if _native.target_pairs(of_bf16) else ROUNDED}")
    without = "" if "amx" in ISAS_OF_BF16 else "; no amx"
    click.echo(f"                 (available: {', '.join(ISAS_OF_BF16)}{without})")
    click.echo(f"threads          {threads}, OpenMP runtime {fields['openmp']}")
    for path in fields["openmp_runtimes"]:
        click.echo(f"                 {path}")
    if len(fields["openmp_runtimes"]) > 1:
        click.echo(SEVERAL)
    click.echo(f"CUDA             {fields['cuda']}")
    click.echo(f"data             MNIST: {sizes_of(training, test)}")


def cuda() -> str:
    """What of CUDA this build and this machine have, in a line."""
    build = _native.cuda_build()
    if build is None:
        return "not in this build"
    architectures, device = build
    return f"built for architectures {architectures}; {cuda_problem() or device}"
