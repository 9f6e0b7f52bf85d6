"""`pymnistcnn bench`: how fast kernels and training are, here and now."""

from __future__ import annotations

import json
import sys

import click

from .. import _native
from ..benchmarking import kernels as kernel_bench
from ..benchmarking import training as training_bench
from ..benchmarking.measuring import fma_peak, markdown
from ..benchmarking.networks import NETWORKS
from .info import cpu_model
from .options import JSON, options, usable_isa

ISA = click.option("--isa", "isas", metavar="NAME", multiple=True,
                   callback=lambda context, option, isas: [usable_isa(context, option, isa) for isa in isas],
                   help=f"Instruction set, of {', '.join(_native.isas())}; may be repeated.")  # fmt: skip
THREADS = click.option("--threads", metavar="N", multiple=True, type=click.IntRange(1, 1024),
                       help="May be repeated.  [default: 1 and 2]")  # fmt: skip
SECONDS = click.option("--seconds", type=click.FloatRange(0.001, 60), help="Of each measurement.")
ROUNDS = click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True,
                      help="Measurements, of which the median and the range are shown.")  # fmt: skip
COMMON = options(ISA, THREADS, ROUNDS, SECONDS, JSON)


@click.group()
def bench():
    """Measure the speed of kernels and of training, beside the processor's FMA peak."""


def measured(jobs):
    """The rows of all jobs, with a progress bar where somebody looks."""
    from tqdm import tqdm

    rows = []
    for job in tqdm(jobs, disable=not sys.stderr.isatty(), file=sys.stderr, leave=False, unit=""):
        made = job()
        rows += made if isinstance(made, list) else [made]
    return rows


def show(head, rows, as_json, isa):
    """A Markdown table, or one JSON object."""
    machine = dict(cpu=cpu_model(), isa=isa, fma_peak_gflops_a_core=fma_peak(isa))
    if as_json:
        click.echo(json.dumps({**machine, "rows": [row.as_dict() for row in rows]}))
        return
    click.echo(f"{machine['cpu']}; FMA peak of {isa} now {machine['fma_peak_gflops_a_core']:.0f} GFLOP/s a core\n")
    click.echo(markdown(head, [row.cells() for row in rows]))


def given(**settings):
    return {name: value for name, value in settings.items() if value is not None}


@bench.command()
@click.argument("cases", metavar="[CASE]...", nargs=-1, type=click.Choice(list(kernel_bench.CASES)))
@COMMON
def kernels(cases, isas, threads, rounds, seconds, as_json):
    """Every kernel by itself, forward and backward.

    CASE is a layer, such as "flux conv2"; all if none is named.
    """
    isas = isas or _native.isas()
    jobs = [
        lambda case=case, isa=isa, n=n: kernel_bench.measure(case, isa, n, rounds=rounds, **given(seconds=seconds))
        for case in cases or kernel_bench.CASES
        for isa in isas
        for n in threads or (1, 2)
    ]
    show(kernel_bench.HEAD, measured(jobs), as_json, isas[-1])


@bench.command()
@click.argument("networks", metavar="[NETWORK]...", nargs=-1, type=click.Choice(list(NETWORKS)))
@click.option("--batch-size", "batches", metavar="N", multiple=True, type=click.IntRange(1, 60_000),
              help="May be repeated.  [default: the network's own, 1, 10, 100 and 1024]")  # fmt: skip
@click.option("--profile", is_flag=True, help="Show what each op of a step takes, instead.")
@COMMON
def training(networks, batches, profile, isas, threads, rounds, seconds, as_json):
    """Training, and inference at batch 1 and 1000, of the tutorials' networks.

    NETWORK is one of them, such as flux; all if none is named.
    """
    isas, how = isas or _native.isas()[-1:], dict(rounds=rounds, **given(seconds=seconds))
    settings = [(name, isa, n) for name in networks or NETWORKS for isa in isas for n in threads or (1, 2)]
    if profile:
        show_profiles(settings, batches or (None,), as_json, **given(seconds=seconds))
        return
    jobs = []
    for name, isa, n in settings:
        for batch in batches or (None, *training_bench.BATCHES):
            jobs.append(lambda a=(name, isa, n, batch): training_bench.training(*a, **how))
        for batch in training_bench.INFERENCE:
            jobs.append(lambda a=(name, isa, n, batch): training_bench.inference(*a, **how))
    show(training_bench.HEAD, measured(jobs), as_json, isas[-1])


def show_profiles(settings, batches, as_json, **how):
    profiles = []
    for name, isa, threads in settings:
        for batch in batches:
            rows = training_bench.profile(name, isa, threads, batch, **how)
            profiles.append(dict(network=name, isa=isa, threads=threads, batch=batch, ops=rows))
    if as_json:
        click.echo(json.dumps({"profiles": profiles}))
        return
    for made in profiles:
        click.echo(f"{made['network']}, {made['isa']}, threads: {made['threads']}\n")
        shown = [(f"{share:.1%}", f"{us:.2f}", op, layer) for op, layer, share, us in made["ops"] if share >= 0.005]
        click.echo(markdown(["share", "us an image", "op", "layer"], shown) + "\n")
