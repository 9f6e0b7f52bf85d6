"""What all commands share: their options, and how they fail: never with a traceback.

Exit codes: 0 done, 1 anything that goes wrong, 2 bad use, 130 Ctrl-C.
"""

from __future__ import annotations

import functools
import json
import os
import stat
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from ..network import checked_threads
from ..target import ISAS, PRECISIONS, target_of


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
    """The name of the target to run on."""
    device, precision = context.meta.get(DEVICE), context.meta.get(PRECISION)
    told = device in (None, "cpu") or context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = str(target_of(isa if told else None, device, precision))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=None if told and isa else "'--device'") from None
    for warning in caught:
        click.echo(f"pymnistcnn: {warning.message}", err=True)
    return found


def keep(name):
    """A callback that leaves an option's value where `usable_isa` looks for it."""

    def callback(context, option, value):
        context.meta[name] = value

    return callback


def where(threads, isa):
    """On what something runs, for people."""
    return f"{count(threads, 'thread')}, {isa}" if isa in ISAS else isa


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
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with digits in MNIST's four IDX files.  [default: the MNIST inside the package]",
)
DEVICE, PRECISION = "pymnistcnn.device", "pymnistcnn.precision"  # where a context keeps them, for what --isa means


def device_options(default="cpu"):
    hidden = dict(is_eager=True, expose_value=False, show_default=True)
    return options(
        click.option("--device", default=default, callback=keep(DEVICE), metavar="NAME", **hidden,
                     help="Where to compute: cpu, cuda (an NVIDIA GPU), or auto."),
        click.option("--precision", default="full", callback=keep(PRECISION), type=click.Choice(PRECISIONS), **hidden,
                     help="Of products on a GPU; all but full are on its tensor cores."),
    )  # fmt: skip


def compute_options(device="cpu"):
    return options(
        click.option("--threads", metavar="N", type=click.IntRange(1, 1024),
                     callback=lambda context, option, threads: checked_threads(threads),
                     help="Threads to compute on.  [default: one for each processor]"),
        click.option("--isa", metavar="NAME", callback=usable_isa, envvar="PYMNISTCNN_ISA", show_envvar=True,
                     help=f"Instruction set: {', '.join(ISAS)}.  [default: the last of these]"),
        device_options(device),
    )  # fmt: skip


COMPUTE = compute_options()
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on stdout.")
POSITIVE = click.IntRange(1, 1_000_000)


def print_json(**fields):
    click.echo(json.dumps(fields, allow_nan=False))


def count(n, noun):
    return f"{n:,} {noun}" + "s" * (n != 1)


def describe(directory, training, test):
    """The data set in a line."""
    name = "MNIST" if directory is None else click.format_filename(directory)
    size = "x".join(map(str, test.images.shape[1:]))
    return f"{name}: {len(training):,} training and {len(test):,} test images of {size}"
