"""Files as Keras and EMNIST have them: mnist.npz, and IDX files of letters that lie on their side.

python npz_and_idx.py [FILE or FOLDER ...]
"""

import sys

import numpy as np

import pymnistcnn as pm
from pymnistcnn.recipes import fast

train, test = (part[:n] for part, n in zip(pm.datasets.mnist(), (3000, 500), strict=True))


def keras_file() -> str:
    np.savez_compressed("mnist.npz", x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    return "mnist.npz"


def emnist_files() -> str:
    """EMNIST's letters are numbered from 1, and its pictures are transposed; these digits stand for the first ten."""
    for name, part in (("train", train), ("test", test)):
        sideways = np.ascontiguousarray(part.images.transpose(0, 2, 1))
        pm.datasets.write_idx(f"emnist-letters-{name}-images-idx3-ubyte.gz", sideways)
        pm.datasets.write_idx(f"emnist-letters-{name}-labels-idx1-ubyte.gz", part.labels + np.uint8(1))
    return "emnist-letters-train-images-idx3-ubyte.gz"


for path in sys.argv[1:] or [keras_file(), emnist_files()]:
    learn, check = pm.datasets.read(path)
    classes = learn.classes or [str(n) for n in range(learn.labels.max() + 1)]
    shape = learn.images.shape[1:] if learn.images.ndim == 4 else (1, *learn.images.shape[1:])
    recipe = fast(shape, len(classes))
    recipe.model.fit(learn, epochs=5, optimizer=recipe.optimizer, schedule=recipe.schedule, progress=False)
    recipe.model.classes = classes
    recipe.model.save("network.safetensors")

    network = pm.load("network.safetensors")
    names = [(network.classes or classes)[label] for label in network.predict(check.images[:5])]
    print(f"{learn.name}: {learn}\n    accuracy {network.score(*check):.3f}; the first are {' '.join(names)}")
