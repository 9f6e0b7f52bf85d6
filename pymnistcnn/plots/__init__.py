"""Pictures of a training and of what was learnt, drawn with matplotlib. Every function takes `ax`, the Axes to draw on,
a figure of pyplot's if not given, and returns the Axes that it drew on. Colours suit light and dark backgrounds.

    curves.py        a training: loss, accuracy, learning rate
    confusion.py     which classes are taken for which
    scores.py        precision and recall of each class
    calibration.py   is the model right as often as it says?
    mistakes.py      the pictures that were read wrong
    filters.py       weights of a convolution
    activations.py   what each layer makes of a picture
    theme.py         colours, and how axes look

>>> import pymnistcnn as pm
>>> train, test = pm.datasets.mnist()
>>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
>>> history = model.fit(train[:2000], epochs=3, validation=test[:500], progress=False)
>>> axes = history.plot()
>>> ax = pm.plots.confusion_matrix(model, test[:500])
>>> ax.figure.savefig("confusion.png")

For a dark figure: `with plt.style.context(pm.plots.DARK): ...`.
"""

from ..extras import needed

needed("matplotlib", "plots")

from .activations import activations  # noqa: E402
from .calibration import calibration  # noqa: E402
from .confusion import confusion_matrix, most_confused  # noqa: E402
from .curves import accuracy, history, learning_rate, loss  # noqa: E402
from .filters import filters  # noqa: E402
from .mistakes import mistakes  # noqa: E402
from .scores import per_class  # noqa: E402
from .theme import DARK, LIGHT  # noqa: E402

__all__ = [
    "DARK",
    "LIGHT",
    "accuracy",
    "activations",
    "calibration",
    "confusion_matrix",
    "filters",
    "history",
    "learning_rate",
    "loss",
    "mistakes",
    "most_confused",
    "per_class",
]
