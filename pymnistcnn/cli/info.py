"""`pymnistcnn info`."""

from __future__ import annotations

import platform
from pathlib import Path

import click
import numpy as np

from .. import __version__, _native, datasets
from ..target import ISAS, cuda_problem, devices
from .options import COMPUTE, JSON, print_json, sizes_of


@click.command()
@COMPUTE
@JSON
def info(threads, isa, as_json):
    """Show what this machine and this installation have."""
    training, test = datasets.mnist()
    fields = {
        "pymnistcnn": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpu": cpu_model(),
        "isa": isa,
        "isas": ISAS,
        "threads": threads,
        "openmp": _native.openmp_runtime(),
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
    click.echo(f"threads          {threads}, OpenMP runtime {fields['openmp']}")
    click.echo(f"CUDA             {fields['cuda']}")
    click.echo(f"data             MNIST: {sizes_of(training, test)}")


def cuda():
    """What of CUDA this build and this machine have, in a line."""
    build = _native.cuda_build()
    if build is None:
        return "not in this build"
    architectures, device = build
    return f"built for architectures {architectures}; {cuda_problem() or device}"


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
