"""Kaggle's digits: learn from train.csv, predict test.csv, write submission.csv.

python kaggle_submission.py [FOLDER with train.csv and test.csv]
"""

import csv
import sys
from pathlib import Path

import pymnistcnn as pm
from pymnistcnn.recipes import fast


def written(folder: Path) -> Path:
    """A folder of files in Kaggle's form, of MNIST."""
    train, test = pm.datasets.mnist()
    folder.mkdir(exist_ok=True)
    names = [f"pixel{n}" for n in range(784)]
    for path, head, images, labels in (
        ("train.csv", ["label", *names], train.images[:5000], train.labels[:5000, None].tolist()),
        ("test.csv", names, test.images[:1000], [[]] * 1000),
    ):
        with open(folder / path, "w", newline="") as file:
            rows = [label + image.ravel().tolist() for label, image in zip(labels, images, strict=True)]
            csv.writer(file).writerows([head, *rows])
    return folder


folder = Path(sys.argv[1]) if len(sys.argv) > 1 else written(Path("digits"))
train, validation = pm.datasets.read(folder, fraction=0.1)
recipe = fast()
recipe.model.fit(train, epochs=5, batch_size=64, optimizer=recipe.optimizer, schedule=recipe.schedule, progress=False)
print(f"accuracy on {len(validation)} images that were put aside: {recipe.model.score(*validation):.3f}")

labels = recipe.model.predict(pm.datasets.read_images(folder / "test.csv"))
with open("submission.csv", "w", newline="") as file:
    csv.writer(file).writerows([("ImageId", "Label"), *enumerate(labels.tolist(), 1)])
print(f"submission.csv: {len(labels)} rows, the first labels are {labels[:5].tolist()}")
