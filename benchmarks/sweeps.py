"""Fits by two workers beside one: what joblib's threads and processes, Dask and Ray cost, of `pm.CNNClassifier()`; and
of `pm.CNNClassifier("accurate")`, two of which slow each other down on Zen 4 and Zen 5, whoever starts them.

    python benchmarks/sweeps.py [--workers Dask]      needs scikit-learn and two processors; Dask, Ray if there

In each round, one after the other: eight fits one by one, on one thread; and as many by two workers, from the call to
the last result. A kind after the other: what Dask and Ray keep beside their workers takes a part of a processor, and
would from the others, too. The workers are there before, and those of Dask and Ray have the pictures, as in docs/jobs;
joblib's processes map them. joblib's are told nothing: they find their share of the processors themselves; to others a
fit says that it takes one thread. After each, the FMA peak of two threads and of one: where it does not grow
twofold, the machine gave less than two cores.

Batch norm goes over whole batches. Those of `accurate` are in L3, which two fits share; those of `fast` are in L2.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import product

import click
from joblib import Parallel, delayed, parallel_config

import pymnistcnn as pm
from pymnistcnn.benchmarking.measuring import Figure, fma_peak
from pymnistcnn.benchmarking.report import Report, Table
from pymnistcnn.benchmarking.targets import Verdict
from pymnistcnn.processors import cpu_model, processors
from pymnistcnn.target import default_target

FITS, IMAGES = 8, (6_000, 30_000)
EPOCHS = {"fast": 10, "accurate": 1}
ONE = "one by one"
AT_LEAST = 1.9  # times one worker
PEAK_SECONDS = 0.1  # of each look at the FMA peak
DASK = {  # as in docs/jobs/sweep_dask.py
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.tick.interval": "1s",
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32 << 20,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 256 << 20,
}


@dataclass(frozen=True)
class Row:
    """Workers of a kind: seconds of all fits of a recipe to so many pictures, how many times as fast as one they were
    in the same round, and how many times the FMA peak of one thread that of two was right after them."""

    recipe: str
    epochs: int
    workers: str
    fits: int
    images: int
    seconds: Figure
    over_one: Figure
    peak_over_one: Figure

    def cells(self):
        return {
            "recipe": self.recipe,
            "epochs": self.epochs,
            "workers": self.workers,
            "fits": self.fits,
            "pictures each": f"{self.images:,}",
            "seconds": self.seconds.text(2),
            "times one": f"**{self.over_one.median:.2f}** {self.over_one.range_text(2)}",
            "FMA peak, times one": self.peak_over_one.text(2),
        }

    def as_dict(self):
        return asdict(self)


def fit(threads, images, labels, recipe, epochs):
    pm.CNNClassifier(recipe, epochs=epochs, n_jobs=threads, random_state=0).fit(images, labels)


def fit_to_references(threads, images, labels, recipe, epochs):
    import ray

    fit(threads, ray.get(images), ray.get(labels), recipe, epochs)


def one_by_one(*data):
    for _ in range(FITS):
        fit(1, *data)


def by_joblib(stack, backend, threads=None, how=fit, **options) -> Callable[..., None]:
    with parallel_config(backend, n_jobs=2, **options):
        parallel = stack.enter_context(Parallel())
    return lambda *data: parallel(delayed(how)(threads, *data) for _ in range(FITS))


def by_dask(stack, images, labels):
    import dask
    from distributed import Client, LocalCluster

    stack.enter_context(dask.config.set(DASK))
    cluster = stack.enter_context(LocalCluster(2, threads_per_worker=1, dashboard_address=None))
    stack.enter_context(Client(cluster))
    return by_joblib(stack, "dask", 1, scatter=[images, labels])


def by_ray(stack, images, labels):
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    stack.callback(ray.shutdown)
    register_ray()
    images, labels = ray.put(images), ray.put(labels)  # as in docs/jobs/sweep_ray.py
    run = by_joblib(stack, "ray", 1, fit_to_references)
    return lambda _images, _labels, *recipe: run(images, labels, *recipe)


KINDS = {  # what starts them, with a fit's pictures and labels; they end with a stack
    "joblib's threads": lambda stack, *data: by_joblib(stack, "threading"),
    "joblib's processes": lambda stack, *data: by_joblib(stack, "loky"),
    "Dask": by_dask,
    "Ray": by_ray,
}


def installed() -> list[str]:
    wanted = {"Dask": "distributed", "Ray": "ray"}
    return [kind for kind in KINDS if find_spec(wanted.get(kind, "joblib"))]


def measure(kind, rounds, images, recipe) -> list[Row]:
    """One by one, and by two workers of a kind."""
    epochs = EPOCHS[recipe]
    train = pm.datasets.mnist()[0][:images]
    seconds, grown = {ONE: [], kind: []}, {ONE: [], kind: []}
    with ExitStack() as stack:
        ways = {ONE: one_by_one, kind: KINDS[kind](stack, train.images, train.labels)}
        for number in range(rounds + 1):  # once before: processes start, pages are touched
            for name, way in ways.items():
                started = time.perf_counter()
                way(train.images, train.labels, recipe, epochs)
                if number:
                    seconds[name].append(time.perf_counter() - started)
                    of_two = fma_peak(None, threads=2, seconds=PEAK_SECONDS)
                    grown[name].append(of_two / fma_peak(None, seconds=PEAK_SECONDS))
    ratios = {name: [a / b for a, b in zip(seconds[ONE], taken, strict=True)] for name, taken in seconds.items()}
    return [Row(recipe, epochs, name, FITS, images, *(Figure.of(figures[name]) for figures in (seconds, ratios, grown)))
            for name in ways]  # fmt: skip


@click.command(help=__doc__)
@click.option("--workers", "kinds", type=click.Choice(list(KINDS)), multiple=True, default=installed,
              show_default="all that are installed")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=11, show_default=True)
@click.option("--images", type=click.IntRange(10, 60_000), multiple=True, default=IMAGES, show_default=True,
              help="Of each fit.")  # fmt: skip
@click.option("--recipe", "recipes", type=click.Choice(list(EPOCHS)), multiple=True, default=EPOCHS, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(kinds, rounds, images, recipes, as_json):
    if processors() < 2:
        raise click.ClickException("this process may use one processor only: there is nothing to compare")
    every = product(recipes, images, kinds)
    rows = [row for recipe, number, kind in every for row in measure(kind, rounds, number, recipe)]
    verdicts = [
        Verdict(f"two workers, {row.workers}, `{row.recipe}`, {row.images:,} pictures", row.over_one.median, AT_LEAST,
                unit="x one")
        for row in rows
        if row.workers != ONE
    ]  # fmt: skip
    notes = [f"{FITS} fits, a thread each, in turns; from the call to the last result."]
    tables = [Table("rows", "Fits by two workers", rows)]
    report = Report(shlex.join(["python", *sys.argv]), cpu_model(), str(default_target()), tables, notes,
                    verdicts=verdicts)  # fmt: skip
    click.echo(report.as_json() if as_json else report.as_markdown())


if __name__ == "__main__":
    main()
