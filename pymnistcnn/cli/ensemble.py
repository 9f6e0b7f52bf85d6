"""`pymnistcnn train ensemble`: several networks, trained side by side, saved and tested as one."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

import click

from .._types import DTypeLike
from ..datasets.traits import classes_in
from ..ensemble import Ensemble
from ..many import Trained, train_many
from ..recipes import Members, Recipe
from ..target import on_processor
from .fitting import fitting, note
from .options import Failure, count, describe, exit_code, network_file, one_line, print_json, read_data, sizes_of, where


def train_ensemble(
    members: Members, epochs: int | None, batch_size: int | None, seed: int, threads: int, isa: str, dtype: DTypeLike,
    data: Any, output: Any, as_json: bool,
) -> None:  # fmt: skip
    """Train an ensemble, test it, save it; with the options of `train`."""
    if not on_processor(isa):
        raise click.UsageError("--device: an ensemble is trained on the processor, a network on each")
    say, output = functools.partial(click.echo, err=as_json), network_file(None, None, output)
    training, test = read_data(data)
    make, seeds = fitting(members.recipe, training, test, dtype), members.seeds(seed)
    made = make(seed=seeds[0])
    epochs, batch_size = epochs or made.epochs, batch_size or made.batch_size
    say(f"{made.model.summary()}\n")
    say(f"data      {describe(data, training.name)}: {sizes_of(training, test)}, {classes_in(training, test)} classes")
    say(f"training  {members.count} networks of seeds {seeds[0]} to {seeds[-1]}: {count(epochs, 'epoch')}, batches of "
        f"{batch_size:,}, {dtype}, {where(threads, isa)}\n")  # fmt: skip
    started = time.perf_counter()
    how = dict(epochs=epochs, isa=isa, threads=threads)
    models = trained(functools.partial(noted, make, training), seeds, training, output, batch_size=batch_size, **how)
    seconds = time.perf_counter() - started
    result = dict(train_seconds=seconds, images_per_second=len(seeds) * epochs * len(training) / seconds)
    told(Ensemble(models), test, result | how | dict(dtype=dtype, seed=seed), output, as_json)


def noted(make: Any, training: Any, seed: int) -> Recipe:
    """A recipe whose model knows what it is trained on."""
    made = make(seed=seed)
    note(made.model, training)
    return made


def trained(make: Any, seeds: list[int], training: Any, output: Any, **how: Any) -> list[Any]:
    """Networks of these seeds, which are saved; if not all come to their end, those that do are."""
    results: list[Trained] = []
    try:
        results = train_many(make, seeds, training, **how)
        models, saved = save(results, output)
    except KeyboardInterrupt as error:
        models, saved = save(getattr(error, "results", results), output)
        click.echo(f"\ninterrupted after {len(models)} of {len(seeds)} networks: {saved}", err=True)
        raise click.exceptions.Exit(exit_code(error)) from None
    for one in results:
        if one.error is not None:
            failed = f"{len(seeds) - len(models)} of {len(seeds)} networks failed, that of seed {one.seed} since"
            raise Failure(f"{failed} {one_line(one.error)}; {saved}")
    return models


def save(results: list[Trained], output: Any) -> tuple[list[Any], str]:
    """Save the networks that there are as one ensemble; returns them, and what is to be said of it."""
    models = [one.model for one in results if one.error is None]
    if not models:
        return models, "there is nothing to save"
    Ensemble(models).save(output)
    return models, f"saved an ensemble of {count(len(models), 'network')} to {click.format_filename(output)}"


def told(ensemble: Ensemble, test: Any, result: dict[str, Any], output: Any, as_json: bool) -> None:
    """Test an ensemble, and its networks, and say what came out."""
    on = dict(threads=result["threads"], isa=result["isa"])
    accuracy, alone = ensemble.score(test, **on), [model.score(test, **on) for model in ensemble.models]
    say, wrong = functools.partial(click.echo, err=as_json), len(test) - round(accuracy * len(test))
    say()
    say(f"test accuracy  {accuracy:.2%} ({wrong:,} of {len(test):,} wrong)")
    say(f"of each alone  {min(alone):.2%} to {max(alone):.2%}")
    say(f"training time  {result['train_seconds']:.2f} s ({result['images_per_second']:,.0f} images/s)")
    say(f"saved          {click.format_filename(output)} ({output.stat().st_size / 1000:,.0f} kB)")
    if as_json:
        print_json(test_accuracy=accuracy, test_accuracies=alone, **result, output=os.fspath(output))
