"""A callback of one's own beside early stopping: which digits are learnt when, and when it is enough."""

import numpy as np

import pymnistcnn as pm
from pymnistcnn.training import Training


class RecallOfDigits(pm.Callback):
    """After each epoch, the digits that are found least often in the validation data."""

    def __init__(self, data: pm.Dataset) -> None:
        self.data = data
        self.by_epoch: list[np.ndarray] = []

    def on_epoch_end(self, training: Training) -> None:
        recall = pm.Recall(10).update(self.data.labels, training.model.predict(self.data)).get()
        self.by_epoch.append(recall)
        worst = ", ".join(f"{digit} ({recall[digit]:.0%})" for digit in np.argsort(recall)[:3])
        print(f"epoch {training.epoch + 1}: accuracy {training.history.validation_accuracy[-1]:.1%}, worst: {worst}")


train, test = pm.datasets.mnist()
layers = [pm.Rescaling(1 / 255), pm.Conv2d(16, 5, stride=2), pm.ReLU(), pm.Flatten(), pm.Linear(10)]
model = pm.Sequential(layers, input_shape=(1, 28, 28), seed=1)
recall, best = RecallOfDigits(test), pm.BestCheckpoint(monitor="validation_loss")
enough = pm.EarlyStopping(patience=1, monitor="validation_loss", min_delta=0.003)
history = model.fit(
    train[:20_000],
    epochs=30,
    optimizer=pm.Adam(5e-3),
    validation=test,
    callbacks=[recall, best, enough],
    progress=False,
)
print(f"stopped after {len(history)} of 30 epochs; the model is that of epoch {best.epoch + 1}")
print(f"validation loss {best.best:.4f}, recall of each digit {recall.by_epoch[best.epoch].round(3)}")
