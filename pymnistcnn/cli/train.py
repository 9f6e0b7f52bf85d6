"""`pymnistcnn train`."""

from __future__ import annotations

import functools
import os
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .._types import ArrayLike, DTypeLike, StrPath
from ..checkpoints import TRAINING, Checkpoint, read
from ..checks import DTYPES
from ..datasets.dataset import Dataset
from ..datasets.groups import is_mapped
from ..datasets.traits import classes_in
from ..progress import ProgressBar
from ..ranks import Ranks, world
from ..recipes import ENSEMBLES, RECIPES
from ..sources import held_out_of
from .ensemble import train_ensemble
from .fitting import fitting, note
from .options import (
    COMPUTE,
    DATA,
    FORM,
    JSON,
    POSITIVE,
    count,
    describe,
    exit_code,
    network_file,
    print_json,
    read_data,
    sizes_of,
    told,
    told_at_the_end,
    where,
    writable_file,
)
from .report import recorder_of, report_file, write_of_training

FEW_STEPS = 100  # of an optimizer, with which little is learnt
DEFAULT = Path("digits.safetensors")
SUFFIX = ".checkpoint"  # of the output's name


class OfAllRanks(click.Command):
    """A command of all processes that mpiexec started, if they are to do it together: what fails on one ends all, and
    is told once."""

    def make_context(self, name: str | None, words: list[str], *given: Any, **extra: Any) -> click.Context:
        together = "--distributed" in words
        try:
            return super().make_context(name, words, *given, **extra)
        except click.UsageError:
            with Ranks(world()).together(told) if together else nullcontext():
                raise

    def invoke(self, context: click.Context) -> Any:
        ranks = Ranks(world()) if context.params.pop("distributed") else None
        context.params["ranks"] = ranks
        with ranks.together(told) if ranks is not None else nullcontext():
            return super().invoke(context)


@click.command(cls=OfAllRanks)
@click.argument("recipe", metavar="[RECIPE]", type=click.Choice([*RECIPES, *ENSEMBLES]), required=False)
@click.option("--epochs", metavar="N", type=POSITIVE, help="Rounds over the data.  [default: the recipe's]")
@click.option("--batch-size", metavar="N", type=POSITIVE, help="Images a step.  [default: the recipe's]")
@click.option(
    "--seed", metavar="N", type=click.IntRange(0, 2**64 - 1), help="Same seed, same network, to the bit.  [default: 0]"
)
@COMPUTE
@click.option("--dtype", type=click.Choice(DTYPES), help="Precision.  [default: float32]")
@DATA
@FORM
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), callback=network_file,
              help="Where to save the network.  [default: digits.safetensors]")  # fmt: skip
@click.option("--checkpoint-every", metavar="N", type=POSITIVE,
              help=f"After every N batches, write to OUTPUT{SUFFIX} all that it takes to go on.")  # fmt: skip
@click.option("--resume", metavar="FILE", type=click.Path(path_type=Path),
              help="Go on from a checkpoint, with its recipe, epochs, batch size, seed and dtype.")  # fmt: skip
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), callback=report_file,
              help="Where to write a report, one HTML file: curves, mistakes, settings.")  # fmt: skip
@click.option(
    "--distributed",
    is_flag=True,
    help="Train with all processes that mpiexec started, on parts of each "
    "batch. The network is that of one process, to the bit.",
)
@JSON
@told_at_the_end()
def train(
    recipe: str | None,
    epochs: int,
    batch_size: int,
    seed: int,
    threads: int | None,
    isa: str | None,
    dtype: DTypeLike,
    data: Any,
    output: StrPath,
    checkpoint_every: None,
    resume: None,
    report: Path | None,
    as_json: bool,
    ranks: Ranks | None,
) -> None:
    """Train a network, test it, save it.

    RECIPE says which network, and how to train it: `fast`, the default, comes to about 99 % on MNIST; `accurate` to
    about 99.6 %, in twenty times the time; `best` is larger, and takes seven times as long as that; `small` is about as
    good on MNIST, with 53,114 parameters; `few` is for data of some thousand pictures at most. `tiny`, `tiny-4800` and
    `tiny-8900` have at most 700, 4,800 and 8,900 parameters, for microcontrollers; `ensemble` trains five networks as
    `best` does, side by side, which are one file and answer as one. Ctrl-C ends the training and saves what was learnt
    so far. With --checkpoint-every, a training that was interrupted or killed can be resumed; the network is then the
    same, to the bit, as without the break. Of an ensemble, the networks that are finished are saved; of --distributed,
    the last checkpoint is what stays. SIGTERM and SIGHUP do what Ctrl-C does.
    """
    if recipe in ENSEMBLES:
        refuse(recipe, checkpoint_every=checkpoint_every, resume=resume, report=report, distributed=ranks)
        train_ensemble(ENSEMBLES[recipe], epochs, batch_size, seed or 0, threads, isa, dtype or "float32", data,
                       output or DEFAULT, as_json)  # fmt: skip
        return
    is_first = ranks is None or ranks.rank == 0  # it alone prints and saves
    if ranks is not None and click.get_current_context().get_parameter_source("threads") == ParameterSource.DEFAULT:
        threads = max(1, threads // ranks.here)
    say = functools.partial(click.echo, err=as_json) if is_first else lambda *line: None
    given = dict(recipe=recipe, epochs=epochs, batch_size=batch_size, seed=seed, dtype=dtype)
    if resume is not None:
        given, place = resumed(resume, given)
        output = output or output_of(resume)
    recipe, seed, dtype = given["recipe"] or "fast", given["seed"] or 0, given["dtype"] or "float32"
    output = network_file(None, None, output or DEFAULT)
    if report is not None and os.path.realpath(report) == os.path.realpath(output):
        raise click.UsageError(f"--report and --output are both {click.format_filename(report)}")
    training, test = read_data(data) if ranks is None else read_by_first(ranks, data)
    made = fitting(RECIPES[recipe], training, test, dtype)(seed=seed)
    note(made.model, training)
    epochs, batch_size = given["epochs"] or made.epochs, given["batch_size"] or made.batch_size
    every = checkpoint_every or given.get("checkpoint_every")
    notes = dict(recipe=recipe, epochs=epochs, batch_size=batch_size, seed=seed, dtype=dtype, checkpoint_every=every)
    checkpoint = None
    if every and is_first:
        checkpoint = Checkpoint(writable_file(None, None, output.with_name(output.name + SUFFIX)), every, notes)
    file = click.format_filename(output)
    say(f"{made.model.summary()}\n")
    say(f"data      {describe(data, training.name)}: {sizes_of(training, test)}, {classes_in(training, test)} classes")
    if resume is not None:
        say(f"resumed   {click.format_filename(resume)}, {place}")
    say(f"training  {count(epochs, 'epoch')}, batches of {batch_size:,}, seed {seed}, {dtype}, {where(threads, isa)}")
    held_out = held_out_of(len(training), made.held_out)
    learnt = len(training) - held_out
    steps = epochs * -(-learnt // batch_size)
    if held_out:
        say(f"          {count(learnt, 'image')}; {held_out:,} are held out, to calibrate on")
    say(f"          only {count(steps, 'step')}: more --epochs learn more\n" if steps < FEW_STEPS else "")

    recorder = recorder_of(epochs, learnt, batch_size) if report and is_first else None
    watching = [ProgressBar(validation="test")] * is_first + [recorder] * (recorder is not None)
    own = dict(epochs=epochs, batch_size=batch_size, callbacks=[*made.callbacks, *watching])
    with checkpoint.held() if checkpoint else nullcontext():
        try:
            history = made.model.fit(
                training, **made.arguments | own, validation=test, threads=threads, isa=isa, progress=False,
                checkpoint=checkpoint, resume=resume, comm=None if ranks is None else world(),
            )  # fmt: skip
            if not is_first:
                return
            made.model.save(output)
        except KeyboardInterrupt as error:
            made.model.save(output)
            done = count(made.model.epochs_trained, "whole epoch")
            click.echo(f"\ninterrupted after {done}: saved what was learnt so far to {file}", err=True)
            if checkpoint and os.path.exists(checkpoint.path):
                again = shlex.join(["--resume", click.format_filename(checkpoint.path), *given_again()])
                click.echo(f"to go on: pymnistcnn train {again}", err=True)
            raise click.exceptions.Exit(exit_code(error)) from None
        if checkpoint:
            Path(checkpoint.path).unlink(missing_ok=True)

    accuracy, seconds = history.validation_accuracy[-1], sum(history.seconds)
    speed = epochs * learnt / seconds
    wrong = len(test) - round(accuracy * len(test))
    say()
    say(f"test accuracy  {accuracy:.2%} ({wrong:,} of {len(test):,} wrong)")
    say(f"training time  {seconds:.2f} s ({speed:,.0f} images/s)")
    say(f"saved          {file} ({output.stat().st_size / 1000:,.0f} kB)")
    if report:
        settings = {**notes, "threads": threads, "isa": isa}
        write_of_training(report, made, history, recorder, (training, test, data), settings, output)
        say(f"report         {click.format_filename(report)} ({report.stat().st_size / 1000:,.0f} kB)")
    if as_json:
        print_json(
            test_accuracy=accuracy, train_seconds=seconds, images_per_second=speed, epochs=epochs, isa=isa,
            threads=threads, dtype=dtype, seed=seed, output=os.fspath(output),
            **({"report": os.fspath(report)} if report else {}),
        )  # fmt: skip


def read_by_first(ranks: Ranks, data: Any) -> tuple[Dataset, Dataset]:
    """What --data says, read by rank 0, which sends it to all; but of raw files, which are mapped, each has its own."""
    found = read_data(data) if ranks.rank == 0 else None
    are_mapped = found is not None and all(is_mapped(part.images) for part in found)
    sent = ranks.of_first(None if are_mapped else found)
    return sent or found or read_data(data)


def refuse(recipe: str, **given: Any) -> None:
    """Bad use, of an option that is for one network."""
    for name, value in given.items():
        if value is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} is for one network, not for {recipe}")


AGAIN = {"data", "label_first", "size", "skip_damaged", "isa", "device", "precision"}  # what no checkpoint says


def given_again() -> list[str]:
    """The options that a training which goes on needs again, as they were given."""
    context = click.get_current_context()
    words = []
    for option in context.command.params:
        if option.name in AGAIN and context.get_parameter_source(option.name) == ParameterSource.COMMANDLINE:
            value = context.params.get(option.name, context.meta.get(f"pymnistcnn.{option.name}"))
            if isinstance(value, bool):
                words += (option.opts if value else option.secondary_opts)[:1]
            else:
                words += [option.opts[0], str(value)]
    return words


def resumed(path: StrPath, given: ArrayLike) -> Any:
    """The settings that the training of a checkpoint was started with, and the place it has come to; bad use if
    something else is asked for now."""
    saved = read(path)[0][TRAINING]
    notes = saved["notes"]
    if not isinstance(notes, dict) or notes.keys() != {*given, "checkpoint_every"} or notes["recipe"] not in RECIPES:
        raise ValueError(f"{path}: not a checkpoint of `pymnistcnn train`")
    for name, value in given.items():
        if value not in (None, notes[name]):
            raise click.UsageError(f"{name.replace('_', ' ')} {value}: the training to resume has {notes[name]}")
    return notes, f"epoch {saved['epoch'] + 1}, batch {saved['batch'] + 1}"


def output_of(checkpoint: Any) -> Any:
    """Where the training that wrote a checkpoint was going to save its network."""
    stem = checkpoint.name.removesuffix(SUFFIX)
    return checkpoint.with_name(stem) if stem not in ("", checkpoint.name) else DEFAULT
