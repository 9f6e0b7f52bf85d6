"""Writes the table in docs/c.md: what networks take as C code, in float32 and in int8, and how good they are.

    python docs/c_sizes.py

Each is trained for two epochs on MNIST; flash is what arm-linux-gnueabihf-gcc makes for a Cortex-M4, code and
constants. It takes some minutes.
"""

import math
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import pymnistcnn as pm
from pymnistcnn.benchmarking.networks import NETWORKS
from pymnistcnn.recipes import RECIPES

PAGE = Path(__file__).parent / "c.md"
COMPILER = "arm-linux-gnueabihf-gcc -std=c99 -Os -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -c".split()
BEGIN, END = "<!-- sizes -->\n", "<!-- /sizes -->\n"
INPUT, STACK = 784, 1024  # bytes, of a board's RAM
BOARD = 32 * 1024, 256 * 1024  # bytes of RAM and of flash
HEAD = """\
| network | weights | RAM, float32 | RAM, int8 | flash, float32 | flash, int8 | accuracy, float32 | accuracy, int8 | fits |
|---|--:|--:|--:|--:|--:|--:|--:|---|
"""  # noqa: E501


def networks():
    """(model, loss) by name, untrained: the smallest recipes, `fast`, and the tutorials' networks."""
    small = {name: RECIPES[name]() for name in RECIPES if name.startswith("tiny")}
    cases = {name: make() for name, make in NETWORKS.items()}
    return {name: (made.model, made.loss) for name, made in (small | cases).items()}


def weights_of(model):
    return sum(math.prod(parameter.shape) for parameter in model.network.parameters if parameter.trained)


def fitting(codes, flash):
    """The kinds of code that fit the board."""
    sizes = zip(("float32", "int8"), codes, flash, strict=True)
    fits = [kind for kind, code, size in sizes if code.ram + INPUT + STACK <= BOARD[0] and size <= BOARD[1]]
    return " and ".join(fits) or "no"


def flash_of(path):
    """Bytes of code and constants."""
    object_file = path.with_suffix(".o")
    subprocess.run([*COMPILER, path, "-o", object_file], check=True)
    sizes = subprocess.run(["arm-linux-gnueabihf-size", object_file], check=True, capture_output=True, text=True)
    return int(sizes.stdout.splitlines()[1].split()[0])


def row(name, model, loss, train, test, folder):
    schedule = pm.OneCycle(0.003)
    model.fit(train, epochs=2, optimizer=pm.Adam(), schedule=schedule, loss=loss, progress=False)
    codes, flash = [], []
    for kind, how in {"float32": {}, "int8": dict(int8=True, calibration=train[:1000])}.items():
        path = Path(folder) / f"{name.replace('-', '_')}_{kind}.c"
        codes.append(model.to_c(path, **how))
        flash.append(flash_of(path))
    right = [np.mean(found.predict(test.images) == test.labels) for found in (model, codes[1])]
    numbers = [weights_of(model), *(code.ram for code in codes), *flash]
    accuracies = [f"{share:.2%}" for share in right]
    return [name, *(f"{n:,}" for n in numbers), *accuracies, fitting(codes, flash)]


def main():
    train, test = pm.datasets.mnist()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(name, *network, train, test, folder) for name, network in networks().items()]
    table = HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
    text = PAGE.read_text()
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: BEGIN + table + END, text, flags=re.DOTALL))
    print(table)


if __name__ == "__main__":
    main()
