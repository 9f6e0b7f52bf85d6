"""The command `pymnistcnn`: train, evaluate, predict, info.

Exit codes: 0 done, 1 anything that goes wrong, 2 bad use, 130 Ctrl-C.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import shlex
import stat
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np

from . import __version__, _native, datasets
from .callbacks import Callback
from .checkpoints import TRAINING, Checkpoint, read
from .model import load
from .network import DTYPES, checked_isa, checked_threads
from .recipes import RECIPES


class Failure(click.ClickException):
    """What ends a command with exit code 1 and one line for people."""

    def show(self, file=None):
        click.echo(f"pymnistcnn: error: {self.format_message()}", err=True)


@contextmanager
def no_traceback():
    """Turn whatever is raised into an exit code and a line for people."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        click.echo(err=True)  # the shell's prompt must not follow the terminal's ^C
        raise click.exceptions.Exit(130) from None
    except Exception as error:
        give_up_broken_stdout()
        raise Failure(one_line(error)) from error


class Commands(click.Group):
    """A group whose commands may raise anything: no user ever sees a traceback."""

    def make_context(self, *args, **extra):  # this is where --help and --version print
        with no_traceback():
            return super().make_context(*args, **extra)

    def invoke(self, context):
        with no_traceback():
            super().invoke(context)
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told


def give_up_broken_stdout():
    """Let Python's own last flush, as it exits, not fail (and complain) once more."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(error: Exception) -> str:
    """What went wrong, for people."""
    text = str(error)
    if isinstance(error, BrokenPipeError):
        text = "whoever read the output has closed it (broken pipe)"
    elif isinstance(error, OSError) and error.strerror:
        where = f"{click.format_filename(error.filename)}: " if error.filename else ""
        text = where + error.strerror
    elif isinstance(error, MemoryError):
        text = text or "out of memory"
    elif not isinstance(error, (OSError, ValueError, FloatingPointError)):
        text = f"{type(error).__name__}: {text}. This should not happen: please report it"
    return " ".join(text.split())


# ---- options ----


def usable_isa(context, option, isa):
    try:
        return checked_isa(isa)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def writable_file(context, option, path):
    """A path that a file can be written to: to be told of it only after the training would be sad."""
    if path is None:
        return None
    name, folder = click.format_filename(path), path.parent
    try:
        kind = path.stat().st_mode if path.exists() else stat.S_IFREG
    except OSError as error:
        raise click.BadParameter(f"{name}: {error.strerror}") from None
    if stat.S_ISDIR(kind):
        raise click.BadParameter(f"{name} is a directory, not the name of a file")
    if not stat.S_ISREG(kind):  # writing takes the place of what is there: never that of /dev/null
        raise click.BadParameter(f"{name} is not a regular file")
    if not folder.is_dir():
        raise click.BadParameter(f"{click.format_filename(folder)} is not a directory that exists")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.BadParameter(f"no permission to write into the directory {click.format_filename(folder)}")
    return path


def options(*several):
    """Some options as one decorator, in this order."""
    return lambda command: functools.reduce(lambda inner, option: option(inner), reversed(several), command)


DATA = click.option(
    "--data", metavar="DIR", type=click.Path(path_type=Path),
    help="Folder with digits in MNIST's four IDX files.  [default: the MNIST inside the package]",
)  # fmt: skip
COMPUTE = options(
    click.option("--threads", metavar="N", type=click.IntRange(1, 1024),
                 callback=lambda context, option, threads: checked_threads(threads),
                 help="Threads to compute on.  [default: one for each processor]"),
    click.option("--isa", metavar="NAME", callback=usable_isa, envvar="PYMNISTCNN_ISA", show_envvar=True,
                 help=f"Instruction set: {', '.join(_native.isas())}.  [default: the last of these]"),
)  # fmt: skip
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on stdout.")
POSITIVE = click.IntRange(1, 1_000_000)
SUFFIX = ".checkpoint"  # of the output's name


def print_json(**fields):
    click.echo(json.dumps(fields, allow_nan=False))


# ---- commands ----


@click.group(cls=Commands, invoke_without_command=True)
@click.version_option(__version__, prog_name="pymnistcnn")
@click.pass_context
def main(context):
    """Train convolutional networks on handwritten digits, fast.

    Start with:  pymnistcnn train
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command()
@click.argument("recipe", metavar="[RECIPE]", type=click.Choice(list(RECIPES)), required=False)
@click.option("--epochs", metavar="N", type=POSITIVE, help="Rounds over the data.  [default: the recipe's]")
@click.option("--batch-size", metavar="N", type=POSITIVE, help="Images a step.  [default: the recipe's]")
@click.option("--seed", metavar="N", type=click.IntRange(0, 2**64 - 1),
              help="Same seed, same network, to the bit.  [default: 0]")  # fmt: skip
@COMPUTE
@click.option("--dtype", type=click.Choice(DTYPES), help="Precision.  [default: float32]")
@DATA
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), callback=writable_file,
              help="Where to save the network.  [default: digits.safetensors]")  # fmt: skip
@click.option("--checkpoint-every", metavar="N", type=POSITIVE,
              help=f"After every N batches, write to OUTPUT{SUFFIX} all that it takes to go on.")  # fmt: skip
@click.option("--resume", metavar="FILE", type=click.Path(path_type=Path),
              help="Go on from a checkpoint, with its recipe, epochs, batch size, seed and dtype.")  # fmt: skip
@JSON
def train(recipe, epochs, batch_size, seed, threads, isa, dtype, data, output, checkpoint_every, resume, as_json):
    """Train a network, test it, save it.

    RECIPE says which network, and how to train it; `fast` is the one there is now. Ctrl-C ends the training
    and saves what was learnt so far. With --checkpoint-every, a training that was interrupted or killed can be
    resumed; the network is then the same, to the bit, as without the break.
    """
    say = functools.partial(click.echo, err=as_json)
    given = dict(recipe=recipe, epochs=epochs, batch_size=batch_size, seed=seed, dtype=dtype)
    if resume is not None:
        given, place = resumed(resume, given)
        output = output or writable_file(None, None, output_of(resume))
    recipe, seed, dtype = given["recipe"] or "fast", given["seed"] or 0, given["dtype"] or "float32"
    output = output or Path("digits.safetensors")
    training, test = datasets.mnist(data)
    made = RECIPES[recipe](input_shape=(1, *training.images.shape[1:]), seed=seed, dtype=dtype)
    epochs, batch_size = given["epochs"] or made.epochs, given["batch_size"] or made.batch_size
    every = checkpoint_every or given.get("checkpoint_every")
    notes = dict(recipe=recipe, epochs=epochs, batch_size=batch_size, seed=seed, dtype=dtype, checkpoint_every=every)
    checkpoint = Checkpoint(output.with_name(output.name + SUFFIX), every, notes) if every else None
    file = click.format_filename(output)
    say(f"{made.model.summary()}\n")
    say(f"data      {describe(data, training, test)}")
    if resume is not None:
        say(f"resumed   {click.format_filename(resume)}, {place}")
    say(f"training  {count(epochs, 'epoch')}, batches of {batch_size:,}, seed {seed}, {dtype}, "
        f"{count(threads, 'thread')}, {isa}\n")  # fmt: skip

    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    try:
        history = made.model.fit(
            training, epochs=epochs, batch_size=batch_size, optimizer=made.optimizer, schedule=made.schedule,
            validation=test, threads=threads, isa=isa, progress=on_terminal,
            callbacks=[] if on_terminal else [EpochLines()], checkpoint=checkpoint, resume=resume,
        )  # fmt: skip
        made.model.save(output)
    except KeyboardInterrupt:
        made.model.save(output)
        done = count(made.model.epochs_trained, "whole epoch")
        click.echo(f"\ninterrupted after {done}: saved what was learnt so far to {file}", err=True)
        if checkpoint and os.path.exists(checkpoint.path):
            name = click.format_filename(checkpoint.path)
            click.echo(f"to go on: pymnistcnn train --resume {shlex.quote(name)}", err=True)
        raise click.exceptions.Exit(130) from None
    if checkpoint:
        Path(checkpoint.path).unlink(missing_ok=True)

    accuracy, seconds = history.validation_accuracy[-1], sum(history.seconds)
    speed = epochs * len(training) / seconds
    wrong = len(test) - round(accuracy * len(test))
    say()
    say(f"test accuracy  {accuracy:.2%} ({wrong:,} of {len(test):,} wrong)")
    say(f"training time  {seconds:.2f} s ({speed:,.0f} images/s)")
    say(f"saved          {file} ({output.stat().st_size / 1000:,.0f} kB)")
    if as_json:
        print_json(
            test_accuracy=accuracy, train_seconds=seconds, images_per_second=speed, epochs=epochs, isa=isa,
            threads=threads, dtype=dtype, seed=seed, output=os.fspath(output),
        )  # fmt: skip


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@DATA
@COMPUTE
@JSON
def evaluate(model, data, threads, isa, as_json):
    """Test a saved network on the test images.

    MODEL is a file that `pymnistcnn train` saved.
    """
    network = load(model)
    test = datasets.mnist(data)[1]
    started = time.perf_counter()
    result = network.evaluate(test, threads=threads, isa=isa)
    seconds = time.perf_counter() - started
    refuse_nan(model, result.loss)
    if as_json:
        print_json(
            test_accuracy=result.accuracy, test_loss=result.loss, images=result.n, seconds=seconds, isa=isa,
            threads=threads, dtype=network.dtype.name,
        )  # fmt: skip
        return
    wrong = result.n - round(result.accuracy * result.n)
    click.echo(f"test accuracy  {result.accuracy:.2%} ({wrong:,} of {result.n:,} wrong)")
    click.echo(f"test loss      {result.loss:.4f}")
    click.echo(f"time           {seconds:.2f} s ({result.n / seconds:,.0f} images/s)")


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", type=click.Path(path_type=Path), nargs=-1, required=True)
@COMPUTE
@JSON
def predict(model, images, threads, isa, as_json):
    """Read the digits in pictures, one digit in each.

    MODEL is a file that `pymnistcnn train` saved; an IMAGE is a PNG or any other picture of the network's
    size (28x28) or larger, light on dark or dark on light.
    """
    from .pictures import read_digit

    network = load(model)
    if len(network.input_shape) != 3 or network.input_shape[0] != 1:
        raise ValueError(f"{model}: this network reads inputs of {network.input_shape}, not grey pictures")
    digits = np.stack([read_digit(image, *network.input_shape[1:]) for image in images])
    probabilities = network.predict_proba(digits, threads=threads, isa=isa)
    refuse_nan(model, probabilities)
    rows = [(click.format_filename(image), int(p.argmax()), float(p.max()))
            for image, p in zip(images, probabilities, strict=True)]  # fmt: skip
    if as_json:
        print_json(predictions=[dict(zip(("image", "digit", "probability"), row, strict=True)) for row in rows])
        return
    width = max(len(name) for name, _, _ in rows)
    for name, digit, probability in rows:
        click.echo(f"{name:<{width}}  {digit}  {probability:6.1%}")


@main.command()
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
        "isas": _native.isas(),
        "threads": threads,
        "openmp": _native.openmp_runtime(),
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
    click.echo(f"data             {describe(None, training, test)}")


# ---- helpers ----


class EpochLines(Callback):
    """Progress for log files, where a bar that is drawn over and over would leave a heap of bars."""

    def on_epoch_end(self, training):
        h = training.history
        parts = [
            f"epoch {training.epoch + 1}/{training.epochs}: loss {h.loss[-1]:.4f}",
            f"accuracy {h.accuracy[-1]:.4f}",
            f"validation {h.validation_accuracy[-1]:.4f}",
            f"{h.images_per_second[-1]:,.0f} images/s",
        ]
        click.echo(", ".join(parts), err=True)


def resumed(path, given):
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


def output_of(checkpoint):
    """Where the training that wrote a checkpoint was going to save its network."""
    stem = checkpoint.name.removesuffix(SUFFIX)
    return checkpoint.with_name(stem) if stem not in ("", checkpoint.name) else Path("digits.safetensors")


def count(n, noun):
    return f"{n:,} {noun}" + "s" * (n != 1)


def describe(directory, training, test):
    """The data set in a line."""
    name = "MNIST" if directory is None else click.format_filename(directory)
    size = "x".join(map(str, test.images.shape[1:]))
    return f"{name}: {len(training):,} training and {len(test):,} test images of {size}"


def refuse_nan(model, numbers):
    """Weights of NaN or infinity load well, but nothing that follows from them is an answer."""
    if not np.isfinite(numbers).all():
        raise ValueError(f"{model}: the network's outputs are not finite numbers; its weights may be damaged")


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
