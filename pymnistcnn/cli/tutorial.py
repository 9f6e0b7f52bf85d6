"""`pymnistcnn tutorial`: the five tutorials, by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import click

from .._types import DTypeLike, StrPath
from ..checks import DTYPES
from ..target import devices, target_of
from .options import DATA, JSON, POSITIVE, compute_options, network_file, options, print_json, told_at_the_end


@click.group()
def tutorial() -> None:
    """Run a well-known tutorial, whole: its data, network, loop, messages."""


def common(
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    dtype: DTypeLike,
    output: StrPath,
    device: str | None = "cpu",
    check_output: Callable[..., Any] | None = network_file,
) -> Callable[..., Any]:
    """The options of every tutorial, with the tutorial's defaults."""

    def option(name, default, **extra):
        return click.option(name, default=default, show_default=default is not None, **extra)

    return options(
        option("--epochs", epochs, metavar="N", type=POSITIVE, help="Rounds over the data."),
        option("--batch-size", batch_size, metavar="N", type=POSITIVE, help="Images a step."),
        option("--seed", seed, metavar="N", type=click.IntRange(0, 2**64 - 1), help="Same seed, same network."),
        compute_options(device),
        option("--dtype", dtype, type=click.Choice(DTYPES), help="Precision."),
        click.option("--limit", metavar="N", type=POSITIVE, help="Training items.  [default: the tutorial's]"),
        DATA,
        option("--output", output, metavar="FILE", type=click.Path(path_type=Path), callback=check_output,
               help="Where to save the network."),
        JSON,
    )  # fmt: skip


@told_at_the_end()
def run(function: Callable[..., Any], as_json: bool, epochs: int, data: Any, output: StrPath, **settings: Any) -> None:
    """Run a tutorial; with --json its messages go to stderr, and one object to stdout."""
    if epochs is not None:
        settings["epochs"] = epochs
    if target_of(settings["isa"]).precision != "full" and settings["dtype"] == "float64":
        raise click.UsageError("--precision is of networks of float32: give --dtype float32, too")
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        outcome = function(data=data, output=os.fspath(output), **settings)
    if not as_json:
        return
    fields = {name: settings[name] for name in ("isa", "threads", "dtype", "seed")}
    if outcome.full_test_accuracy is not None:
        fields["full_test_accuracy"] = outcome.full_test_accuracy
    folder = settings.get("savepath", "")
    print_json(
        test_accuracy=outcome.test_accuracy, train_seconds=outcome.train_seconds,
        images_per_second=outcome.images_per_second, epochs=outcome.epochs,
        output=os.path.join(folder, os.fspath(output)), **fields,
    )  # fmt: skip


@tutorial.command()
@common(epochs=10, batch_size=100, seed=0, dtype="float64", output="gorgonia.safetensors")
@click.option("--loss", type=click.Choice(["cost", "cross-entropy"]), default="cost", show_default=True,
              help="The tutorial's cost, without a logarithm, or the usual one.")  # fmt: skip
def gorgonia(loss: Any, as_json: bool, **settings: Any) -> None:
    """Go: three convolutions, RMSprop, a cost without logarithm."""
    from ..tutorials.gorgonia import gorgonia as function

    run(function, as_json, cross_entropy=loss == "cross-entropy", **settings)


@tutorial.command()
@common(epochs=20, batch_size=128, seed=0, dtype="float32", output="mnist_conv.safetensors", check_output=None)
@click.option("--lr", default=3e-3, show_default=True, help="Learning rate to begin with.")
@click.option("--savepath", default="./", show_default=True, help="Folder for the best network.")
def flux(as_json: bool, **settings: Any) -> None:
    """Julia: the model zoo's convolutional network."""
    from ..tutorials.flux import flux as function

    network_file(None, None, Path(settings["savepath"], settings["output"]))
    run(function, as_json, **settings)


MXNET = options(
    click.option("--variant", type=click.Choice(["python", "julia"]), default="python", show_default=True,
                 help="Settings of the Python or of the Julia tutorial."),
    click.option("--init", type=click.Choice(["uniform", "glorot"]), default="uniform", show_default=True,
                 help="First weights: the tutorial's uniform(0.01), or Glorot's."),
)  # fmt: skip


@tutorial.command("mxnet-mlp")
@common(epochs=None, batch_size=100, seed=0, dtype="float32", output="mxnet-mlp.safetensors", device=devices()[-1])
@MXNET
def mxnet_mlp(variant: str, init: str, as_json: bool, **settings: Any) -> None:
    """Python, Julia: a multilayer perceptron.  10 epochs, in Julia 20."""
    from ..tutorials.mxnet import mxnet_mlp as function

    run(function, as_json, julia=variant == "julia", glorot=init == "glorot", **settings)


@tutorial.command("mxnet-lenet")
@common(epochs=None, batch_size=100, seed=0, dtype="float32", output="mxnet-lenet.safetensors", device=devices()[-1])
@MXNET
def mxnet_lenet(variant: str, init: str, as_json: bool, **settings: Any) -> None:
    """Python, Julia: LeNet.  10 epochs, in Julia 20."""
    from ..tutorials.mxnet import mxnet_lenet as function

    run(function, as_json, julia=variant == "julia", glorot=init == "glorot", **settings)


@tutorial.command()
@common(epochs=50, batch_size=10, seed=1, dtype="float32", output="mccaffrey.safetensors")
def mccaffrey(as_json: bool, **settings: Any) -> None:
    """PyTorch: a network on 1,000 images from text files."""
    from ..tutorials.mccaffrey import mccaffrey as function

    run(function, as_json, **settings)


@tutorial.command()
@common(epochs=3, batch_size=1, seed=0, dtype="float64", output="scratch.safetensors")
@click.option("--by-hand", is_flag=True, help="Step through the layers that are written out in NumPy's terms.")
@click.option("--full", is_flag=True, help="All 60,000 and 10,000 images, with loss and accuracy of each epoch.")
def scratch(as_json: bool, **settings: Any) -> None:
    """NumPy: a convolutional network from scratch."""
    from ..tutorials.scratch import scratch as function

    run(function, as_json, **settings)
