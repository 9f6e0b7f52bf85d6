"""What a report is about."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..datasets import Dataset
from ..interpretation import Interpretation, interpret
from ..model import Evaluation, Sequential
from ..recorder import Recorder
from ..training import History


@dataclass(frozen=True, eq=False)
class Run:
    """A network, data to test it on, and what is known of its training.

    title : what the report is called
    history, steps : of the training, if there was one; steps, the Recorder's, for finer curves
    facts : tables of what else is to be said, by their titles: name and value
    threads, isa : to predict with

    Examples
    --------
    >>> import pymnistcnn as pm
    >>> from pymnistcnn.report import Run, write
    >>> train, test = pm.datasets.mnist()
    >>> model = pm.Sequential([pm.Rescaling(1 / 255), pm.Flatten(), pm.Linear(10)], input_shape=(1, 28, 28))
    >>> history = model.fit(train[:2000], epochs=2, validation=test[:500], progress=False)
    >>> write("run.html", Run("A linear network", model, test[:500], history))
    """

    title: str
    model: Sequential
    test: Dataset
    history: History | None = None
    steps: Recorder | None = None
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int | None = None
    isa: str | None = None

    @cached_property
    def timed(self) -> tuple[Interpretation, float]:
        """What the network makes of the data, and the seconds that this took."""
        started = time.perf_counter()
        what = interpret(self.model, self.test, threads=self.threads, isa=self.isa)
        return what, time.perf_counter() - started

    @property
    def what(self) -> Interpretation:
        return self.timed[0]

    @property
    def evaluation(self) -> Evaluation:
        return Evaluation(self.what.accuracy, float(self.what.losses.mean()), len(self.what))
