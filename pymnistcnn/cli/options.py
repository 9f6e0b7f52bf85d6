"""What all commands share: their options, and how they fail: never with a traceback.

Exit codes: 0 done, 1 anything that goes wrong, 2 bad use, 130 Ctrl-C.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import signal
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .. import datasets
from .._types import StrPath
from ..datasets.atomic import check_writable
from ..extras import MissingExtra
from ..files import refuse_names_of_others
from ..network import checked_threads
from ..progress import Unbreakable
from ..target import ISAS, PRECISIONS, on_processor, target_of

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset


class Failure(click.ClickException):
    """What ends a command with exit code 1 and one line for people."""

    def show(self, file: None = None) -> None:
        with suppress(OSError, ValueError):  # standard error is full, or closed
            click.echo(f"pymnistcnn: error: {self.format_message()}", err=True)


class BadUse(Failure):
    """What ends a command with exit code 2, and one line that names the help."""

    exit_code = 2


def in_one_line(error: click.UsageError) -> click.ClickException:
    """Bad use, told as everything else that goes wrong is; a group without a command still shows its help."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # click 8.1 has none
        return error
    where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
    return BadUse(" ".join(error.format_message().split()) + where)


_guarded: list[bool] = []  # one for each no_traceback that is open


@contextmanager
def no_traceback() -> Iterator[Any]:
    """Turn whatever is raised into an exit code and a line for people."""
    _guarded.append(True)
    try:
        yield
    except click.UsageError as error:
        raise in_one_line(error) from None
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt as error:
        with suppress(OSError):
            click.echo(err=True)  # the shell's prompt must not follow the terminal's ^C
        raise click.exceptions.Exit(exit_code(error)) from None
    except Exception as error:
        give_up_broken_stdout()
        raise Failure(told(error)) from error
    finally:
        _guarded.pop()


class Stopped(KeyboardInterrupt):
    """A signal that ends a command as Ctrl-C does."""


def exit_code(error: Any) -> int:
    """What a shell expects of a command that a signal has ended."""
    return 128 + (error.args[0] if isinstance(error, Stopped) else signal.SIGINT)


@contextmanager
def ended_by_signals() -> Iterator[Any]:
    """For a process that is this command alone. Inside, SIGINT, SIGTERM and SIGHUP raise Stopped: the first of them;
    in the moments that are click's, which would make exit code 1 of it, they end the process. Then, and at the end,
    they are ignored, so that nothing interrupts what is saved. Those that whoever started the command has switched off
    stay so."""
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]

    def ignore():
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)

    def stop(number, frame):
        ignore()
        if not _guarded:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        raise Stopped(number)

    for each in numbers:
        signal.signal(each, stop)
    try:
        yield
    finally:
        ignore()


def told(error: Exception) -> str:
    """One line for people. A network that could not be saved where it was meant to be is saved somewhere else."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    return one_line(error) + (rescued(error.model, error.filename) if hasattr(error, "model") else "")


def rescued(model: Any, path: StrPath) -> str:
    """Save a model that could not be written to `path` where there is room; says where, for the end of a message."""
    name = f"{Path(os.fsdecode(path)).stem}-{secrets.token_hex(4)}.safetensors"
    for folder in (Path.cwd, Path.home, lambda: Path(tempfile.gettempdir())):
        with suppress(OSError, RuntimeError):
            place = folder() / name
            model.save(place)
            return f"; what was learnt is in {click.format_filename(place)} instead"
    return "; nor could what was learnt be saved anywhere else"


@contextmanager
def told_at_the_end() -> Iterator[Any]:
    """Inside, output that cannot be written (a full disk, a closed pipe) stops nothing; that is told at the end."""
    out, err = Unbreakable(sys.stdout), Unbreakable(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        yield
    if out.error is not None and out.file is not None:
        raise out.error


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used: `train` does not wait for `bench`.

    modules : where each command is, in this package, under its own name
    """

    def __init__(self, *args: Any, modules: dict[str, str], **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.modules = modules

    def list_commands(self, context: Any) -> list[str]:
        return sorted([*super().list_commands(context), *self.modules])

    def get_command(self, context: Any, name: str) -> Any:
        if name in self.modules:
            return getattr(import_module(self.modules[name], __package__), name)
        return super().get_command(context, name)


class Commands(LazyGroup):
    """A group whose commands may raise anything: no user ever sees a traceback."""

    def __call__(self, *args: Any, **extra: Any) -> Any:  # as a program: what calls `main` has signals of its own
        with ended_by_signals():
            return super().__call__(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> Any:  # this is where --help and --version print
        with no_traceback():
            return super().make_context(*args, **extra)

    def invoke(self, context: Any) -> None:
        with no_traceback(), warnings.catch_warnings():
            warnings.showwarning = show_warning
            super().invoke(context)
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told


def show_warning(message: Warning | str, category: type[Warning], *place: Any) -> None:
    """A line for people."""
    with suppress(OSError, ValueError):
        click.echo(f"pymnistcnn: {textwrap.shorten(str(message), 1000)}", err=True)


def give_up_broken_stdout() -> None:
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
    elif not isinstance(error, (OSError, ValueError, FloatingPointError, MissingExtra, Warning)):
        text = f"{type(error).__name__}: {text}. This should not happen: please report it"
    return textwrap.shorten(text, 1000, placeholder=" ...")


# ---- options ----


def usable_isa(context: Any, option: Any, isa: str | None) -> str | None:
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
        click.echo(f"pymnistcnn: warning: {warning.message}", err=True)
    return found


def where(threads: int | None, isa: str | None) -> str:
    """On what something runs, for people."""
    return f"{count(threads, 'thread')}, {isa}" if on_processor(isa) else isa


def writable_file(context: Any, option: Any, path: StrPath) -> Any:
    """A path that a file can be written to: to be told of it only after the training would be sad."""
    try:
        if path is not None:
            check_writable(path)
    except OSError as error:
        raise click.BadParameter(one_line(error), context, option) from None
    return path


def network_file(context: Any, option: Any, path: Any) -> Any:
    """A path that a network can be saved to."""
    try:
        if path is not None:
            refuse_names_of_others(path)
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from None
    return writable_file(context, option, path)


def options(*several: Any) -> Callable[..., Any]:
    """Some options as one decorator, in this order."""
    return lambda command: functools.reduce(lambda inner, option: option(inner), reversed(several), command)


DATA = click.option(
    "--data",
    metavar="PATH",
    help="Folder, archive or file of images and labels, in any usual form, or the name of a data set, such as "
    "fashion-mnist: see docs/data.md.  [default: the MNIST inside the package]",
)
LABEL_FIRST, SIZE, SKIP_DAMAGED = (
    "pymnistcnn.label_first",
    "pymnistcnn.size",
    "pymnistcnn.skip_damaged",
)  # where a context keeps them, for `read_data`


def keep(name: str) -> Callable[..., Any]:
    """A callback that leaves an option's value where another looks for it."""

    def callback(context, option, value):
        context.meta[name] = value

    return callback


FORM = options(
    click.option("--label-first/--label-last", default=None, callback=keep(LABEL_FIRST), expose_value=False,
                 help="Which column of a text file without a header has the labels."),
    click.option("--size", metavar="N", type=click.IntRange(8, 1024), callback=keep(SIZE), expose_value=False,
                 help="Height and width that pictures of a folder are scaled to.  [default: their own, if all have "
                      "the same one up to 64; else 32]"),
    click.option("--skip-damaged", is_flag=True, callback=keep(SKIP_DAMAGED), expose_value=False,
                 help="Leave out pictures of a folder that cannot be read."),
)  # fmt: skip


def read_data(data: Any, size: Any = None) -> tuple[Dataset, Dataset]:
    """The two data sets that --data and its companions say; `size` of the pictures in folders if --size does not."""
    context = click.get_current_context()
    if data is None:
        return datasets.mnist()
    return datasets.read(data, label_first=context.meta.get(LABEL_FIRST), size=context.meta.get(SIZE) or size,
                         skip_damaged=context.meta.get(SKIP_DAMAGED, False))  # fmt: skip


DEVICE, PRECISION = "pymnistcnn.device", "pymnistcnn.precision"  # where a context keeps them, for what --isa means


def device_options(default: str = "cpu") -> Callable[..., Any]:
    hidden = dict(is_eager=True, expose_value=False, show_default=True)
    return options(
        click.option("--device", default=default, callback=keep(DEVICE), metavar="NAME", **hidden,
                     help="Where to compute: cpu, cuda (an NVIDIA GPU), or auto."),
        click.option("--precision", callback=keep(PRECISION), type=click.Choice(PRECISIONS), **hidden,
                     help="Of the factors of products: bf16 is of the processor, too; tf32 of a GPU's tensor cores.  "
                     "[default: full, or the instruction set's]"),
    )  # fmt: skip


def compute_options(device: str | None = "cpu") -> Callable[..., Any]:
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


class NumberRange(click.FloatRange):
    """A number in a range; NaN is in none."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        number = super().convert(value, param, context)
        if number != number:
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, context)
        return number


def print_json(**fields: Any) -> None:
    click.echo(json.dumps(fields, allow_nan=False))


def count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + "s" * (n != 1)


def describe(data: Any, name: str) -> str:
    """A data set, by its name and where it is."""
    place = "" if data is None else click.format_filename(data)
    return name if place in ("", name) or not os.path.exists(data) else f"{name} ({place})"


def sizes_of(training: Any, test: Any) -> Any:
    size = "x".join(map(str, test.images.shape[1:]))
    return f"{len(training):,} training and {len(test):,} test images of {size}"
