"""`pymnistcnn bench`: how fast kernels and training are, here and now; how well recipes learn is in learning.py."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from .._types import StrPath
from ..benchmarking import comparing, paper, peers, targets
from ..benchmarking import data as data_bench
from ..benchmarking import distributed as distributed_bench
from ..benchmarking import kernels as kernel_bench
from ..benchmarking import roofline as roofline_bench
from ..benchmarking import serving as serving_bench
from ..benchmarking import training as training_bench
from ..benchmarking.measuring import markdown
from ..benchmarking.networks import NETWORKS
from ..benchmarking.report import Report, Table
from ..datasets import atomic_write
from ..processors import cpu_model
from ..ranks import mpi
from ..target import ISAS, on_processor
from .options import (
    COMPUTE,
    JSON,
    Failure,
    LazyGroup,
    NumberRange,
    count,
    device_options,
    options,
    usable_isa,
    writable_file,
)


def report_file(context: Any, option: Any, path: StrPath) -> Any:
    """A path whose suffix says what is written there."""
    if path is not None and path.suffix not in (".md", ".json"):
        raise click.BadParameter(f"{click.format_filename(path)} must end in .md or .json")
    return writable_file(context, option, path)


def usable_isas(context: Any, option: Any, isas: tuple[str]) -> list[str]:
    """Those that were named; if none was, that of --device, if it is not the processor."""
    named = [usable_isa(context, option, isa) for isa in isas or (None,)]
    return named if isas or named[0] not in ISAS else []


ISA = click.option("--isa", "isas", metavar="NAME", multiple=True, callback=usable_isas,
                   help=f"Instruction set, of {', '.join(ISAS)}; may be repeated.")  # fmt: skip
THREADS = click.option(
    "--threads", metavar="N", multiple=True, type=click.IntRange(1, 1024), help="May be repeated.  [default: 1 and 2]"
)
SECONDS = click.option("--seconds", type=NumberRange(0.001, 60), help="Of each measurement.")
ROUNDS = click.option("--rounds", type=click.IntRange(1, 1000), default=11, show_default=True,
                      help="Measurements, of which the median and the range are shown.")  # fmt: skip
OUTPUT = options(
    click.option("--output", metavar="FILE", type=click.Path(path_type=Path), callback=report_file,
                 help="Write there, .md or .json, and not to stdout."),
    JSON,
)  # fmt: skip
CHECK = click.option("--check", is_flag=True, help="Exit with 1, and name them, if targets are missed or not measured.")
PEERS = options(
    click.option("--peers", "with_peers", is_flag=True, help="Measure PyTorch and others beside ours, in turns."),
    click.option("--peer-python", "pythons", metavar="PATH", multiple=True,
                 type=click.Path(exists=True, dir_okay=False),
                 help="A Python that has a peer; may be repeated.  [default: the one that runs]"),
    click.option("--peer-folder", metavar="DIR", type=click.Path(path_type=Path), default=Path("benchmarks/peers"),
                 show_default=True, help="Of the peers' scripts."),
)  # fmt: skip
COMMON = options(ISA, THREADS, ROUNDS, SECONDS, PEERS, CHECK, OUTPUT)


@click.group(cls=LazyGroup, modules={"accuracy": ".learning", "robustness": ".learning"})
def bench() -> None:
    """Measure speed beside the processor's FMA peak and beside other libraries, and how well recipes learn."""


def progress(jobs: tuple[str]) -> Any:
    """The jobs, with a bar where somebody looks."""
    from tqdm import tqdm

    return tqdm(jobs, disable=not sys.stderr.isatty(), file=sys.stderr, leave=False, unit="")


def report_of(tables: list[Table], notes: list[str], isa: str | None, company: Any, verdicts: Any = None) -> Report:
    command = shlex.join(["pymnistcnn", *sys.argv[1:]])
    versions = {found.peer.name: found.version for found in company.found if found.peer.name not in peers.OF_OTHERS}
    return Report(command, cpu_model(), isa, tables, [*notes, *company.notes], versions, verdicts)


def write(report: Report, output: Path) -> None:
    text = report.as_json() if output.suffix == ".json" else report.as_markdown()
    with atomic_write(output) as file:
        file.write(f"{text}\n".encode())


def deliver(
    tables: list[Table], notes: list[str], isa: str | None, company: Any, verdicts: Any, output: Any, as_json: bool
) -> None:
    """Show or write what was measured. `verdicts` on targets, if they are wanted: fail if one was missed."""
    report = report_of(tables, notes, isa, company, verdicts)
    if output is None:
        click.echo(report.as_json() if as_json else report.as_markdown())
    else:
        write(report, output)
    missed = targets.missed(verdicts or [])
    for line in missed:
        click.echo(f"missed: {line}", err=True)
    if missed:
        raise Failure(f"{len(missed)} of {count(len(verdicts), 'target')} missed")


@contextmanager
def company_of(with_peers: bool, pythons: tuple[Any, ...], peer_folder: Any) -> Iterator[Any]:
    """The peers that were asked for, with what they need."""
    if not with_peers:
        if pythons:
            raise click.UsageError("--peer-python is for --peers")
        yield comparing.Company()
        return
    found, missing = peers.find(pythons or (sys.executable,), peer_folder)
    with ExitStack() as stack:
        folder = stack.enter_context(peers.data_folder()) if found else None
        yield comparing.Company(found, missing, folder)


def given(**settings: Any) -> dict[str, float]:
    return {name: value for name, value in settings.items() if value is not None}


@bench.command()
@click.argument("cases", metavar="[CASE]...", nargs=-1, type=click.Choice(list(kernel_bench.CASES)))
@COMMON
def kernels(
    cases: tuple[str],
    isas: list[str],
    threads: tuple[int, ...],
    rounds: int,
    seconds: float,
    with_peers: bool,
    pythons: tuple[Any, ...],
    peer_folder: Any,
    check: bool,
    output: StrPath,
    as_json: bool,
) -> None:
    """Every kernel by itself, forward and backward.

    CASE is a layer, such as "flux conv2"; all if none is named. With --peers, on the most threads and the last
    instruction set, each layer stands beside the same operator of theirs.
    """
    isas, cases, threads = isas or ISAS, cases or list(kernel_bench.CASES), sorted(set(threads)) or [1, 2]
    rows, comparisons, how = [], [], dict(rounds=rounds, **given(seconds=seconds))
    with company_of(with_peers, pythons, peer_folder) as company:
        for case in progress(cases):
            for isa in isas:
                for n in threads:
                    rows += kernel_bench.measure(case, isa, n, **how)
            if company.found:
                comparisons += kernel_bench.compare(case, isas[-1], threads[-1], company, **how)
    tables = [
        Table("rows", "Kernels by themselves", rows),
        Table("comparisons", "Layers, fused as in a network, beside the same operator", comparisons),
    ]
    verdicts = targets.of_kernels(rows, cases) if check else None
    deliver(tables, training_bench.NOTES[:1], isas[-1], company, verdicts, output, as_json)


@bench.command()
@options(ISA, THREADS, ROUNDS, SECONDS, OUTPUT)
def roofline(
    isas: list[str],
    threads: tuple[int, ...],
    rounds: int,
    seconds: float | None,
    output: StrPath,
    as_json: bool,
) -> None:
    """What products reach by themselves, of factors in registers, L1, L2, L3 and memory.

    In the last instruction set, and in the last for bfloat16 if that multiplies faster, if none is named.
    """
    isas, how = isas or roofline_bench.fastest(), dict(rounds=rounds, **given(seconds=seconds))
    jobs = [(isa, n) for isa in isas for n in sorted(set(threads)) or (1, 2)]
    rows = [row for job in progress(jobs) for row in roofline_bench.measure(*job, **how)]
    tables = [Table("rows", "Products by themselves", rows)]
    deliver(tables, roofline_bench.NOTES, isas[-1], comparing.Company(), None, output, as_json)


@bench.command()
@click.argument("networks", metavar="[NETWORK]...", nargs=-1, type=click.Choice(list(NETWORKS)))
@click.option("--batch-size", "batches", metavar="N", multiple=True, type=click.IntRange(1, 60_000),
              help="May be repeated.  [default: the network's own, 1, 10, 100 and 1024]")  # fmt: skip
@click.option("--profile", is_flag=True, help="Show what each op of a step takes, instead.")
@device_options()
@COMMON
def training(
    networks: Any,
    batches: Any,
    profile: bool,
    isas: Any,
    threads: int | None,
    rounds: int,
    seconds: float,
    with_peers: bool,
    pythons: Any,
    peer_folder: Any,
    check: Any,
    output: StrPath,
    as_json: bool,
) -> None:
    """Training, and inference at batch 1 and 1000, of the tutorials' networks.

    NETWORK is one of them, such as flux; all if none is named, and targets are those of the named ones. Every side is
    a process of its own. With --peers, and if no --isa is named, convolutional networks also train with AVX2 on both
    sides. With --device cuda, ours and theirs train on the GPU.
    """
    networks, threads = networks or list(NETWORKS), sorted(set(threads)) or [1, 2]
    if profile:
        if not all(map(on_processor, isas)):
            raise click.UsageError("--profile is of the processor: on a device ops have no clocks")
        if with_peers or pythons or check or output:
            raise click.UsageError("--profile shows ours alone, on stdout: no --peers, --check or --output")
        settings = [(name, isa, n) for name in networks for isa in isas or ISAS[-1:] for n in threads]
        show_profiles(settings, batches or (None,), as_json, **given(seconds=seconds))
        return
    rows, comparisons, how = [], [], dict(rounds=rounds, **given(seconds=seconds))
    with company_of(with_peers, pythons, peer_folder) as company:
        for job in progress(training_jobs(networks, batches, isas, bool(company.found))):
            more, beside = training_bench.measure(*job, threads, company, **how)
            rows, comparisons = rows + more, comparisons + beside
    isa = (isas or ISAS)[-1]
    tables = [
        Table("rows", "Training and inference", rows),
        Table("comparisons", "In turns with others, and with one thread", comparisons),
    ]
    if not check:
        verdicts = None
    elif on_processor(isa) and isa not in ISAS:
        verdicts = targets.in_bf16(comparisons, networks, isa)
    else:
        verdicts = targets.of_training(rows, comparisons, networks, None if isa in ISAS else isa)
    deliver(tables, training_bench.NOTES, isa, company, verdicts, output, as_json)


def training_jobs(networks: Any, batches: Any, isas: Any, beside_peers: bool) -> Any:
    """(network, task, batch, isa) of all that is measured."""
    jobs = []
    for name in networks:
        own = NETWORKS[name]().batch_size
        for isa in isas or ISAS[-1:]:
            jobs += [(name, "training", batch, isa) for batch in batches or sorted({own, *training_bench.BATCHES})]
            jobs += [(name, "inference", batch, isa) for batch in training_bench.INFERENCE]
        if beside_peers and not isas and not batches and "avx2" in ISAS[:-1]:
            if training_bench.is_convolutional(name):
                jobs.append((name, "training", own, "avx2"))
    return jobs


def show_profiles(settings: Any, batches: Any, as_json: bool, **how: Any) -> None:
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


@bench.command()
@click.argument("networks", metavar="[NETWORK]...", nargs=-1, type=click.Choice(list(NETWORKS)))
@click.option("--clients", metavar="N", multiple=True, type=click.IntRange(1, 1024),
              help="May be repeated.  [default: 1, 2, 4 and 8]")  # fmt: skip
@options(ISA, click.option("--threads", type=click.IntRange(1, 1024),
                           help="Of one picture's computation.  [default: its client's processors]"))  # fmt: skip
@options(ROUNDS, SECONDS, PEERS, OUTPUT)
def serving(
    networks: Any,
    clients: tuple[int, ...],
    isas: list[str],
    threads: int | None,
    rounds: int,
    seconds: float | None,
    with_peers: bool,
    pythons: tuple[Any, ...],
    peer_folder: Any,
    output: StrPath,
    as_json: bool,
) -> None:
    """What a client waits for the answer to one picture, from 1 to 8 clients.

    NETWORK is one of them, such as flux; all if none is named. With --peers, the runtimes that networks are deployed
    with stand beside ours.
    """
    isa, how = (isas or ISAS)[-1], dict(rounds=rounds, **given(seconds=seconds))
    jobs = [(name, n) for name in networks or NETWORKS for n in clients or serving_bench.CLIENTS]
    with company_of(with_peers, pythons, peer_folder) as company:
        rows = [row for job in progress(jobs) for row in serving_bench.measure(*job, isa, threads, company, **how)]
    tables = [Table("rows", "Serving one picture a call", rows)]
    deliver(tables, serving_bench.NOTES, isa, company, None, output, as_json)


@bench.command()
@click.option("--images", type=click.IntRange(1, 100_000_000), default=200_000, show_default=True,
              help="Pictures of 784 bytes, in a temporary file and once in memory.")  # fmt: skip
@click.option("--trained", type=click.IntRange(1), help="Pictures that are trained on.  [default: an epoch]")
@click.option("--folder", metavar="DIR", type=click.Path(exists=True, file_okay=False), help="For the file.")
@click.option(
    "--rounds", type=click.IntRange(1, 1000), default=3, show_default=True, help="Trainings from each source."
)
@COMPUTE
@OUTPUT
def data(
    images: int,
    trained: int | None,
    folder: StrPath | None,
    rounds: int,
    threads: int,
    isa: str | None,
    output: StrPath,
    as_json: bool,
) -> None:
    """What loading costs: training on pictures in memory, in a mapped file, and as a stream of chunks."""
    trained = min(images, trained or images)
    with TemporaryDirectory(dir=folder) as place:
        rows = data_bench.measure(Path(place) / "images.npy", images, trained, rounds, threads, isa)
    tables = [Table("rows", "Training on the same pictures", rows)]
    deliver(tables, data_bench.NOTES, isa, comparing.Company(), None, output, as_json)


@bench.command()
@click.argument("networks", metavar="[NETWORK]...", nargs=-1, type=click.Choice(list(NETWORKS)))
@click.option("--batch-size", "batches", metavar="N", multiple=True, type=click.IntRange(1, 60_000),
              help="Of all ranks; may be repeated.  [default: 128 and 1024]")  # fmt: skip
@click.option("--ranks", metavar="N", multiple=True, type=click.IntRange(1, 1024),
              help="May be repeated.  [default: 1, 2 and 4]")  # fmt: skip
@click.option("--mpiexec", metavar="COMMAND", help="What starts them, with hosts if you like.  [default: mpiexec]")
@options(ISA, click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True,
                           help="Of each rank."))  # fmt: skip
@options(ROUNDS, SECONDS, PEERS, OUTPUT)
def distributed(
    networks: tuple[str, ...],
    batches: tuple[int, ...],
    ranks: tuple[int, ...],
    mpiexec: str | None,
    isas: list[str],
    threads: int,
    rounds: int,
    seconds: float | None,
    with_peers: bool,
    pythons: tuple[Any, ...],
    peer_folder: Any,
    output: StrPath,
    as_json: bool,
) -> None:
    """Training by several processes, and on paper: from which batch several machines pay.

    NETWORK is one of them, such as flux; fast, gorgonia and mxnet-mlp if none is named. Needs the extra mpi, and
    mpiexec. With --peers, PyTorch's DistributedDataParallel with gloo stands beside ours.
    """
    isa, how = (isas or ISAS)[-1], dict(rounds=rounds, **given(seconds=seconds))
    ranks, batches = sorted(set(ranks)) or distributed_bench.RANKS, batches or distributed_bench.BATCHES
    mpi()  # or the error that names the extra
    try:
        words = distributed_bench.mpiexec_words(mpiexec)
    except FileNotFoundError as error:
        raise Failure(str(error)) from None
    jobs = [(name, batch) for name in networks or distributed_bench.SHOWN for batch in batches]
    with company_of(with_peers, pythons, peer_folder) as company:
        links = [distributed_bench.link(words, rounds, seconds or 0.1), *paper.ASSUMED]
        rows = [
            row for job in progress(jobs)
            for row in distributed_bench.measure(*job, ranks, isa, threads, words, company, **how)
        ]  # fmt: skip
    on_paper = []
    for name in progress(networks or distributed_bench.SHOWN):
        works = paper.works(name, paper.MACHINES, isa, threads, rounds, seconds or 0.1)
        on_paper += paper.rows(name, links, threads, works)
    tables = [
        Table("rows", "Ranks on this machine", rows),
        Table("links", "Networks", links),
        Table("on_paper", "On paper: times the speed of one machine", on_paper),
    ]
    deliver(tables, [*distributed_bench.NOTES, *paper.NOTES], isa, company, None, output, as_json)
