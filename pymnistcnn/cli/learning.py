"""`pymnistcnn bench accuracy` and `bench robustness`: how well the recipes learn, over several seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from ..benchmarking import accuracy as accuracy_bench
from ..benchmarking import robustness as robustness_bench
from ..benchmarking import targets
from ..benchmarking.accuracy import Task
from ..benchmarking.comparing import Company
from ..benchmarking.protocol import Protocol
from ..benchmarking.report import Table
from ..benchmarking.runs import stored
from ..datasets.atomic import only_writer
from ..recipes import RECIPES
from ..target import on_processor
from .bench import CHECK, OUTPUT, deliver, progress, report_of, write
from .options import COMPUTE, DATA, FORM, options, read_data
from .saved import network_at

SAMPLES = click.IntRange(1, 1_000_000)
RESUMED = "A FILE.json is written anew after each seed; where it is there, seeds that it has are not trained again."


def seeds_option(number: int) -> Any:
    return click.option("--seeds", type=click.IntRange(1, 1000), default=number, show_default=True, help="From 0 on.")


PROTOCOL = options(
    click.option("--split", is_flag=True, help="Test on the last sixth of the training pictures and train on the "
                                               "others: settings are chosen so, and the test pictures left alone."),
    click.option("--samples", metavar="N", type=SAMPLES, help="Train on N pictures: as many of each class, by seed."),
    click.option("--first", is_flag=True, help="The first of --samples instead."),
    click.option("--folds", metavar="N", type=click.IntRange(2, 1000),
                 help="Cross-validation: all pictures in N parts, each tested on by a network of the others."),
    click.option("--networks", metavar="N", type=click.IntRange(1, 1000), default=1, show_default=True,
                 help="That answer together, by the mean of their probabilities; seeds are of so many each."),
)  # fmt: skip


@click.command(epilog=RESUMED)
@click.argument("recipes", metavar="[RECIPE]...", nargs=-1, type=click.Choice(list(RECIPES)))
@click.option("--recipe", "more", metavar="NAME", multiple=True, type=click.Choice(list(RECIPES)),
              help="The same as an option; may be repeated.")  # fmt: skip
@seeds_option(10)
@DATA
@FORM
@PROTOCOL
@COMPUTE
@CHECK
@OUTPUT
def accuracy(
    recipes: tuple[str, ...],
    more: tuple[str, ...],
    seeds: int,
    data: str | None,
    split: bool,
    samples: int | None,
    first: bool,
    folds: int | None,
    networks: int,
    threads: int,
    isa: str,
    check: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Test accuracy, calibration and seconds of training of the recipes, over several seeds.

    RECIPE is one of `pymnistcnn train`'s; all if none is named. Of `fast` on MNIST, the time around it, from its
    command to the finished file, is measured, too.
    """
    if first and samples is None:
        raise click.UsageError("--first is of --samples")
    if split and folds:
        raise click.UsageError("--folds tests on all pictures: no --split")
    protocol, names = Protocol(split, samples, first, folds, networks), [*recipes, *more]
    train, test = read_data(data)
    tasks = [Task(name, train, test, protocol, isa, threads) for name in names or RECIPES]
    rows = collected(accuracy_bench, tasks, seeds, accuracy_tables, output)
    if data is None and protocol == Protocol():
        rows = [accuracy_bench.with_around(row, min(seeds, 3)) if row.recipe == "fast" else row for row in rows]
    device = None if on_processor(isa) else isa
    wanted = targets.learning(names, train.name, protocol)
    verdicts = targets.of_accuracy(rows, wanted, device) if check else None
    deliver(accuracy_tables(rows), accuracy_bench.NOTES, isa, Company(), verdicts, output, as_json)


def accuracy_tables(rows: list[Any]) -> list[Table]:
    return [Table("rows", "Recipes", rows)]


@click.command(epilog=RESUMED)
@click.argument("subjects", metavar="[RECIPE | MODEL]...", nargs=-1)
@seeds_option(3)
@DATA
@FORM
@COMPUTE
@OUTPUT
def robustness(
    subjects: tuple[str, ...],
    seeds: int,
    data: str | None,
    threads: int,
    isa: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Accuracy and calibration on test pictures that are shifted, turned, noised, thinned, occluded, ...

    RECIPE is one of `pymnistcnn train`'s, which is trained first, with several seeds; MODEL a file that it saved. All
    recipes if none is named.
    """
    train, test = read_data(data)
    tasks = []
    for name in subjects or RECIPES:
        if name in RECIPES:
            tasks.append(Task(name, train, test, Protocol(), isa, threads))
        else:
            tasks.append(robustness_bench.Saved(Path(name).name, network_at(Path(name)), test, isa, threads))
    rows = collected(robustness_bench, tasks, seeds, robustness_tables, output)
    if as_json or (output and output.suffix == ".json"):
        deliver(robustness_tables(rows), robustness_bench.NOTES, isa, Company(), None, output, as_json)
        return
    table = Table("rows", "Accuracy and calibration, weak / medium / strong", robustness_bench.lines(rows))
    deliver([table], robustness_bench.NOTES, isa, Company(), None, output, as_json)


def robustness_tables(rows: list[Any]) -> list[Table]:
    return [Table("rows", "Varied pictures", rows)]


# ---- what both do ----


def collected(
    benchmark: Any, tasks: list[Any], seeds: int, tables: Callable[[list[Any]], list[Table]], output: Path | None
) -> list[Any]:
    """A row of each task, with a run of each seed. What the file has is not measured again, and it is written anew
    after each run."""
    settings = [task.settings() for task in tasks]
    with alone_at(output) as path:
        runs = [{seed: benchmark.Run(**run) for seed, run in found.items()} for found in stored(path, "rows", settings)]
        for at, seed in progress(missing(tasks, runs, seeds)):
            runs[at][seed] = benchmark.run(tasks[at], seed)
            rows = rows_of(benchmark, settings, runs)
            if path is not None:
                write(report_of(tables(rows), benchmark.NOTES, tasks[0].isa, Company()), path)
    return rows_of(benchmark, settings, runs)


def missing(tasks: list[Any], runs: list[dict[int, Any]], seeds: int) -> list[tuple[int, int]]:
    """(place of a task, seed) of all that is still to be measured. Of a saved network there is one."""
    numbers = [1 if isinstance(task, robustness_bench.Saved) else seeds for task in tasks]
    return [(at, seed) for at, number in enumerate(numbers) for seed in range(number) if seed not in runs[at]]


def rows_of(benchmark: Any, settings: list[Any], runs: list[dict[int, Any]]) -> list[Any]:
    """Of those that have a run."""
    return [
        benchmark.Row(one, [of_one[seed] for seed in sorted(of_one)])
        for one, of_one in zip(settings, runs, strict=True)
        if of_one
    ]


@contextmanager
def alone_at(output: Path | None) -> Iterator[Path | None]:
    """The path, if runs are kept there, which nobody else writes meanwhile."""
    path = output if output is not None and output.suffix == ".json" else None
    with nullcontext() if path is None else only_writer(path):
        yield path
