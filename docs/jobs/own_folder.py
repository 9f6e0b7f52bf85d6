"""A folder of your own: colour pictures, a folder for each class, from training to predictions with names.

python own_folder.py [FOLDER]
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def drawn(folder: str) -> str:
    """A folder of 32x32 pictures of three shapes in random colours."""
    rng = np.random.default_rng(0)
    for at in range(600):
        shape = ("circle", "square", "triangle")[at % 3]
        page, ink = (tuple(rng.integers(low, low + 100, 3).tolist()) for low in (0, 150))
        picture = Image.new("RGB", (32, 32), page)
        pen, (x, y), r = ImageDraw.Draw(picture), rng.integers(10, 22, 2).tolist(), int(rng.integers(5, 9))
        if shape == "circle":
            pen.ellipse([x - r, y - r, x + r, y + r], ink)
        elif shape == "square":
            pen.rectangle([x - r, y - r, x + r, y + r], ink)
        else:
            pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], ink)
        Path(folder, shape).mkdir(parents=True, exist_ok=True)
        picture.save(f"{folder}/{shape}/{at:03}.png")
    return folder


def pymnistcnn(*arguments: str) -> None:
    """Run a command, and show it."""
    print("$ pymnistcnn", *arguments, flush=True)
    subprocess.run([sys.executable, "-P", "-m", "pymnistcnn", *arguments], check=True)


folder = sys.argv[1] if len(sys.argv) > 1 else drawn("shapes")
pymnistcnn("train", "--data", folder, "--epochs", "20", "--batch-size", "32", "--output", "shapes.safetensors")
pymnistcnn("evaluate", "shapes.safetensors", "--data", folder, "--confusion")
if len(sys.argv) == 1:
    pymnistcnn("predict", "shapes.safetensors", f"{folder}/circle/000.png", f"{folder}/triangle/002.png")
