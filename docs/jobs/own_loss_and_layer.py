"""A loss and a layer of one's own, in NumPy: train with them, save, load, predict."""

import warnings
from typing import Any

import numpy as np

import pymnistcnn as pm


class Mish(pm.PythonLayer):
    """x tanh(log(1 + exp(x))) (Misra, 2019)."""

    def forward(self, x: Any, training: bool = True, **how: Any) -> Any:
        self.x, self.tanh = x, np.tanh(np.logaddexp(0, x))
        return x * self.tanh

    def backward(self, dy: Any, **how: Any) -> Any:
        return dy * (self.tanh + self.x * (1 - self.tanh**2) / (1 + np.exp(-self.x)))


def brier(outputs: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean squared distance of the probabilities from the truth (Brier, 1950), and its gradient by the logits."""
    p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    error = p - np.eye(p.shape[1])[labels]
    by_p = 2 * error / len(p)
    return (error**2).sum() / len(p), p * (by_p - (by_p * p).sum(axis=1, keepdims=True))


warnings.simplefilter("ignore", pm.SlowWarning)  # each step calls Python: it is known
train, test = pm.datasets.mnist()
layers = [pm.Rescaling(1 / 255), pm.Conv2d(8, 5, stride=2), Mish(), pm.Flatten(), pm.Linear(10)]
model = pm.Sequential(layers, input_shape=(1, 28, 28), seed=1)
model.fit(train[:10_000], epochs=2, optimizer=pm.Adam(3e-3), loss=brier, validation=test, progress=False)
print("Brier score {0.loss:.3f}, accuracy {0.accuracy:.1%}".format(model.evaluate(test)))

model.save("own.safetensors")
again = pm.load("own.safetensors", own_layers=[Mish])
print("the first digits, loaded again:", *again.predict(test.images[:10]))
