"""Many trainings at once, one a processor, all from one data set in memory."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._types import Array, ArrayLike
from .callbacks import Callback
from .checks import checked_seed, instance, shown, whole
from .datasets import Dataset
from .model import Sequential, both_of
from .network import MOST_THREADS, Network, checked_threads
from .progress import Cell, Unbreakable, columns_of, in_notebook, is_watched
from .recipes import RECIPES, Recipe
from .training import History

__all__ = ["Trained", "train_many"]

LOOK_SECONDS = 0.1  # between two looks at how far all are
SHARED = {  # arguments of `fit` that have no state, and may be those of several trainings
    "average",
    "batch_size",
    "class_weight",
    "clip_norm",
    "epochs",
    "isa",
    "precision",
    "sample_weight",
    "schedule",
    "shuffle",
}


@dataclass(frozen=True, eq=False)
class Trained:
    """What `train_many` gives for a seed.

    seed : whose training it was
    history : the History; None if the training failed
    error : what it failed with, such as Diverged, or None

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> (trained,) = pm.train_many("fast", [1], train[:1000], progress=False)
    >>> trained.seed, trained.model.output_shape, len(trained.history), trained.error
    (1, (10,), 1, None)
    """

    seed: int
    history: History | None = field(repr=False)
    error: Exception | None
    _model: Sequential | None = field(repr=False)

    @property
    def model(self) -> Sequential:
        """The network; of a training that failed, its error is raised."""
        if self._model is None:
            raise self.error or RuntimeError("there is no model")
        return self._model


def train_many(
    recipe: str | Callable[..., Recipe],
    seeds: Sequence[int],
    data: Dataset | tuple[ArrayLike, ArrayLike],
    *,
    validation: Dataset | tuple[ArrayLike, ArrayLike] | None = None,
    workers: int | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    **arguments: Any,
) -> list[Trained]:
    """Train a network for each of many seeds, several at once, in threads of this process. Each is, to the bit, what
    `fit` alone makes of its recipe.

    Parameters
    ----------
    recipe : what makes a `recipes.Recipe` of each `seed=...`: a function as in `recipes`; or the name of one, for
        pictures such as MNIST's. For others: `functools.partial(pm.recipes.fast, classes=26)`
    seeds : whole numbers, such as range(10)
    data, validation : as `fit` takes them; no stream
    workers : how many are trained at a time; as many as there are threads if not given
    threads : of all together; one for each processor if not given. They are shared: where fewer networks are left than
        there are threads, each has several
    progress : draw one progress line, of all of them, on standard error; True if not given
    arguments : more for `fit`, in place of the recipe's: average, batch_size, class_weight, clip_norm, epochs, isa,
        precision, sample_weight, schedule and shuffle

    Returns a Trained for each seed, in their order. One that fails does not stop the others: its `error` says why, and
    its `model` raises that. Where all fail, the first one's error is raised. ValueError for bad arguments. Ctrl-C ends
    all; the KeyboardInterrupt has as `results` the list of those that were finished.

    The data are in memory once, in the numbers that the networks take. Beside them, each network has its weights and as
    many gradients, 0.4 MB of `accurate`; each of those that are trained at a time, what the optimizer keeps, copies to
    go back to, and what one thread works with: 35 MB of `accurate`.

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> train, test = pm.datasets.mnist()
    >>> results = pm.train_many("fast", range(3), train[:2000], progress=False)
    >>> [trained.seed for trained in results]
    [0, 1, 2]
    >>> ensemble = [trained.model for trained in results]
    """
    make, seeds = checked_recipe(recipe), checked_seeds(seeds)
    threads = checked_threads(threads)
    workers = threads if workers is None else whole("workers", workers, 1, MOST_THREADS)
    if others := arguments.keys() - SHARED:
        named, shared = (", ".join(sorted(names)) for names in (others, SHARED))
        raise ValueError(f"{named}: not for all trainings alike, but the recipe's; all can share {shared}")
    network = make(seed=seeds[0]).model.network
    if validation is not None:
        arguments["validation"] = once(network, validation, "validation")
    work, rest = Work(make, once(network, data, "data"), arguments, len(seeds)), len(seeds) % workers
    with drawn(work, progress):
        for some in filter(None, (seeds[: len(seeds) - rest], seeds[len(seeds) - rest :])):
            at_a_time = min(workers, len(some))
            work.run(some, at_a_time, max(1, threads // at_a_time))
    if all(trained.error for trained in work.results):
        raise work.results[0].error
    return work.results


def checked_recipe(recipe: Any) -> Callable[..., Recipe]:
    """A function that makes a recipe."""
    if callable(recipe):
        return recipe
    if not isinstance(recipe, str) or recipe not in RECIPES:
        names = ", ".join(map(repr, RECIPES))
        raise ValueError(f"recipe must be one of {names}, or a function that makes one, not {shown(recipe)}")
    return RECIPES[recipe]


def checked_seeds(seeds: Any) -> list[int]:
    try:
        found = [checked_seed(seed) for seed in seeds]
    except TypeError:
        raise ValueError(f"seeds must be whole numbers, such as range(10), not {shown(seeds)}") from None
    if not found:
        raise ValueError("seeds must be at least one")
    return found


def once(network: Network, data: Any, name: str) -> tuple[Array, Array]:
    """Inputs as networks take them, so that each finds nothing to convert; and targets."""
    inputs, targets = both_of(data, name)
    return network.inputs(inputs, f"{name} inputs"), np.asarray(targets)


class Work:
    """Trainings of one recipe on the same data, and how far they are."""

    make: Callable[..., Recipe]
    data: Any
    arguments: dict[str, Any]
    count: int
    started: float
    results: list[Trained]
    over: threading.Event
    watches: list[Watch]

    def __init__(self, make: Callable[..., Recipe], data: Any, arguments: dict[str, Any], count: int) -> None:
        self.make, self.data, self.arguments, self.count = make, data, arguments, count
        self.started, self.results = time.perf_counter(), []
        self.over, self.watches = threading.Event(), []

    def run(self, seeds: Sequence[int], workers: int, threads: int) -> None:
        """Train these, so many at a time. What comes in between, such as Ctrl-C, ends them, with all that is finished
        as its `results`."""
        pool = ThreadPoolExecutor(workers, "pymnistcnn")
        futures: list[Future[Trained]] = []
        try:
            futures += (pool.submit(self._train, seed, threads) for seed in seeds)
            while wait(futures, LOOK_SECONDS).not_done:
                self.look()
        except BaseException as error:
            self.over.set()
            pool.shutdown(cancel_futures=True)
            error.results = [*self.results, *finished(futures)]
            raise
        pool.shutdown()
        self.results += finished(futures)

    def look(self) -> None:
        """Called while trainings go on; whoever draws them takes its place."""

    def _train(self, seed: int, threads: int) -> Trained:
        watch = Watch(self.over)
        self.watches.append(watch)
        try:
            made = instance("what recipe returns", self.make(seed=seed), Recipe, "a recipes.Recipe")
            own = dict(callbacks=[*made.callbacks, watch], threads=threads, progress=False)
            history = made.model.fit(self.data, **{**made.arguments, **self.arguments, **own})
            made.model.network.release()
            return Trained(seed, history, None, made.model)
        except Exception as error:
            return Trained(seed, None, error, None)
        finally:
            watch.share = 1.0

    @property
    def done(self) -> float:
        """How many trainings are done, with shares of those that go on."""
        return sum(watch.share for watch in self.watches)

    @property
    def speed(self) -> float:
        """Images a second, of all together."""
        return sum(watch.images for watch in self.watches) / max(time.perf_counter() - self.started, 1e-9)


class Ended(BaseException):
    """What ends a training in another thread."""


class Watch(Callback):
    """Says how far a training is, and ends it when all are to end."""

    share: float
    images: int

    def __init__(self, over: threading.Event) -> None:
        self._over, self.share, self.images = over, 0.0, 0

    def on_train_begin(self, training: Any) -> None:
        self.on_slice(training)

    def on_slice(self, training: Any) -> None:
        if self._over.is_set():
            raise Ended
        done = training.epoch * training.batches + training.batch
        self.share = done / (training.epochs * training.batches)
        self.images = done * training.batch_size


def finished(futures: Sequence[Future[Trained]]) -> list[Trained]:
    """What those have given that came to their end."""
    return [f.result() for f in futures if f.done() and not f.cancelled() and f.exception() is None]


@contextmanager
def drawn(work: Work, progress: bool | None) -> Iterator[None]:
    """Inside, one line says how far all trainings are, if somebody looks; at the end it says what they came to."""
    if progress is not None and not progress:
        yield
        return
    from tqdm import tqdm

    file = Unbreakable(Cell() if in_notebook(sys.stderr) else sys.stderr)
    with tqdm(total=work.count, file=file, leave=False, delay=1e-9, disable=not is_watched(file)) as bar:

        def look() -> None:
            bar.ncols, bar.n = columns_of(file) - 1, work.done
            left = (time.perf_counter() - work.started) * (work.count / max(work.done, 1e-9) - 1)
            bar.bar_format = (
                f"trained {int(work.done)}/{work.count} {work.done / work.count:4.0%}|{{bar:20}}| "
                f"{tqdm.format_interval(left)} left, {tqdm.format_sizeof(work.speed)} images/s"
            )
            bar.refresh()

        work.look = look
        yield
    file.write(f"trained {in_words(work)}, {work.speed:,.0f} images/s\n")
    file.flush()


def in_words(work: Work) -> str:
    """What trainings came to."""
    good = [trained.history for trained in work.results if trained.history is not None]
    text = f"{len(good)}/{work.count}"
    shares = sorted(history.validation_accuracy[-1] for history in good if history.validation_accuracy)
    return text + (f": validation {shares[0]:.2%} to {shares[-1]:.2%}" if shares else "")
