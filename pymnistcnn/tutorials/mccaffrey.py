"""James McCaffrey, "Preparing MNIST Image Data Text Files" and "Convolutional Neural Networks for MNIST Data Using
PyTorch" (Visual Studio Magazine, 2022): a small network that learns from a text file of 1,000 digits.

The text file has an image a line, 784 pixels and the label with tabs between, which can be looked at with any
editor. So few images make a network learn them by heart; two layers of dropout are there against that.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import pymnistcnn as pm

from .._types import Array, ArrayLike, DTypeLike, StrPath
from . import Outcome

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def mccaffrey(
    epochs: int = 50,
    batch_size: int = 10,
    seed: int = 1,
    threads: int | None = None,
    isa: str | None = None,
    dtype: DTypeLike = "float32",
    limit: int | None = None,
    data: str | None = None,
    output: StrPath = "mccaffrey.safetensors",
) -> Outcome:
    """Run it: 1,000 images to learn from (`limit`, if given), 100 to test on.

    They go through text files. If `data` is a folder with such as mnist_train_1000.txt and mnist_test_100.txt, they
    are these; else they are written first, from the folder for `pm.datasets.read`. The network is saved to `output`,
    the picture of a fake image beside it. In the outcome, `full_test_accuracy` is on MNIST's 10,000 test images.
    """
    how = dict(threads=threads, isa=isa)
    print("\nBegin MNIST with CNN demo")

    # 1. the data
    own_files = text_files(data)
    with tempfile.TemporaryDirectory() as folder:
        train_file, test_file = own_files or write_text_files(data, folder, limit or 1000)
        train, test = pm.datasets.read_text(train_file)[:limit], pm.datasets.read_text(test_file)
    print(f"\nCreating {len(train)}-item train Dataset from text file")

    # 2. the network; its weights start as PyTorch's do
    print("\nCreating CNN network with 2 conv and 3 linear")
    model = pm.Sequential(
        [
            pm.Rescaling(1 / 255),
            pm.Conv2d(32, 5), pm.ReLU(), pm.MaxPool2d(2), pm.Dropout(0.25),  # 12 x 12
            pm.Conv2d(64, 5), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(),  # 4 x 4
            pm.Linear(512), pm.ReLU(), pm.Dropout(0.5),
            pm.Linear(256), pm.ReLU(),
            pm.Linear(10),
        ],
        input_shape=(1, 28, 28),
        seed=seed,
        dtype=dtype,
    )  # fmt: skip

    # 3. training
    loss, optimizer = pm.CrossEntropyLoss(), pm.SGD(0.005)
    print(f"\nbat_size = {batch_size:3d}")
    print("loss = CrossEntropyLoss()")
    print("optimizer = SGD")
    print(f"max_epochs = {epochs:3d}")
    print(f"lrn_rate = {optimizer.lr:.3f}")
    print("\nStarting training")
    how_to_train = dict(epochs=epochs, batch_size=batch_size, optimizer=optimizer, loss=loss)
    history = model.fit(train, **how_to_train, callbacks=[Log()], progress=False, **how)
    print("Done")

    # 4. accuracy
    print("\nComputing model accuracy")
    accuracy = model.evaluate(test, **how).accuracy
    print(f"Accuracy on training data = {model.evaluate(train, **how).accuracy:.4f}")
    print(f"Accuracy on test data = {accuracy:.4f}")

    # 5. a prediction
    print("\nMaking prediction for fake image:")
    fake = fake_image()
    show(fake, Path(output).with_suffix(".png"))
    print("Logits: ", *model.predict_outputs(fake[None], **how)[0].round(4))
    print("Softmax:", *model.predict_proba(fake[None], **how)[0].round(4))
    print(f"Predicted class is '{WORDS[model.predict(fake[None], **how)[0]]}'")

    # 6. the file says what the network is, too: pm.load(output) needs nothing of this program
    print("\nSaving trained model state")
    model.save(output)
    print("\nEnd MNIST CNN demo")

    _, full_test = pm.datasets.read(None if own_files else data)
    return Outcome(accuracy, sum(history.seconds), epochs * len(train), epochs,
                   full_test_accuracy=model.evaluate(full_test, **how).accuracy)  # fmt: skip


class Log(pm.Callback):
    """Every 5 epochs, the sum over the batches of their mean losses, as the original has it, and beside it the mean
    over the images, which does not depend on how many there are."""

    def on_epoch_end(self, training: Any) -> None:
        if training.epoch % 5 == 0:
            summed = training.batches * training.loss
            print(f"epoch = {training.epoch:4d}   loss = {summed:.4f}   mean per item = {training.loss:.4f}")


def text_files(folder: StrPath) -> Any:
    """The text files for training and testing in a folder, if there are any."""
    if folder is None:
        return None
    found = [sorted(Path(folder).glob(f"mnist_{part}*")) for part in ("train", "test")]
    if not any(found):
        return None
    if [len(files) for files in found] != [1, 1]:
        names = ", ".join(path.name for files in found for path in files)
        raise ValueError(f"{folder}: expected one file mnist_train* and one file mnist_test*, got {names}")
    return [files[0] for files in found]


def write_text_files(data: str, folder: StrPath, items: int) -> Any:
    """Write the first `items` training and the first 100 test images as text."""
    train, test = pm.datasets.read(data)
    files = []
    for part, digits in (("train", train[:items]), ("test", test[:100])):
        files.append(Path(folder, f"mnist_{part}_{len(digits)}.txt"))
        pm.datasets.write_text(files[-1], digits)
    return files


def fake_image() -> Array:
    """Three strokes, the later over the earlier, that are meant to be a 4."""
    image = np.zeros((28, 28), np.uint8)
    image[5:23, 9] = 180  # down
    image[range(9, 19), range(9, 19)] = 250  # the diagonal
    image[14, 5:15] = 200  # across
    return image


def show(image: ArrayLike, path: StrPath) -> None:
    """Dark on light, ten times as large, on the screen if there is one and somebody before it, else in a file."""
    picture = Image.fromarray(255 - image).resize((280, 280), Image.Resampling.NEAREST)
    if sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        picture.show()
    else:
        with pm.datasets.atomic_write(path) as file:
            picture.save(file, "png")
        print(f"(drawn to {path})")
