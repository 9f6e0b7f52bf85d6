"""A folder of PNGs, one subfolder for each class, becomes a network in an ONNX file, which another program runs."""
# needs: onnx

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from PIL import Image, ImageDraw

import pymnistcnn as pm

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "shapes")
if not folder.exists():  # draw some: circles, squares and triangles of any size and place
    rng = np.random.default_rng(0)
    corners = {"circle": 30, "square": 4, "triangle": 3}
    for name, number in ((name, number) for name in corners for number in range(300)):
        picture, radius = Image.new("L", (28, 28)), int(rng.integers(6, 11))
        circle = (*rng.integers(radius, 28 - radius, 2).tolist(), radius)
        ImageDraw.Draw(picture).regular_polygon(circle, corners[name], float(rng.uniform(-20, 20)), 255)
        path = folder / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)

classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
paths = [path for name in classes for path in sorted((folder / name).glob("*.png"))]
images = np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])
labels = np.array([classes.index(path.parent.name) for path in paths])
order = np.random.default_rng(0).permutation(len(images))
data = pm.Dataset(images[order], labels[order])
train, test = data[: len(data) * 4 // 5], data[len(data) * 4 // 5 :]

layers = [pm.Rescaling(1 / 255), pm.Conv2d(16, 5), pm.BatchNorm2d(), pm.ReLU(), pm.MaxPool2d(2), pm.Conv2d(32, 3)]
layers += [pm.BatchNorm2d(), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(len(classes))]
model = pm.Sequential(layers, input_shape=(1, *images.shape[1:]))
model.fit(train, epochs=15, batch_size=32, progress=False)
model.to_onnx("shapes.onnx", input_dtype="uint8", fold_batch_norm=True, classes=classes)

theirs = ReferenceEvaluator(onnx.load("shapes.onnx")).run(None, {"input": test.images[:, None]})[0].argmax(axis=1)
print(f"{len(train)} pictures to train on, {', '.join(classes)}")
print(f"accuracy of the ONNX file on {len(test)} others: {(theirs == test.labels).mean():.3f}")
print(f"the same answers from both: {(theirs == model.predict(test.images)).mean():.0%}")
