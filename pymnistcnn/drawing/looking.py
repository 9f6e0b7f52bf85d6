"""What the page shows of a picture: what the network sees, says and computes, and training pictures that are alike."""

from __future__ import annotations

import base64
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .._types import Array
from .nearest import Nearest
from .stages import Stages

MOST_MAPS, MOST_NUMBERS = 64, 1024  # of a layer, that are shown
SEVERAL = "Several digits: the largest is read."


class Looker:
    """Looks at pictures, in any number of threads.

    see : from a picture, such as the bytes of its file, to what the network is to see of it, uint8 (h, w) or (c, h, w);
        it may raise ValueError, and warn if there is more than that
    input_of : from that to the network's input, (c, h, w)
    examples, names : training images, as they are seen, and the name of the class of each; None if there are none
    """

    def __init__(
        self,
        network: Any,
        see: Callable[[bytes], Array],
        input_of: Callable[[Array], Array],
        examples: Array | None = None,
        names: list[str] | None = None,
    ) -> None:
        self._see, self._input_of = see, input_of
        self._predictor, self._stages = network.predictor(batch=1, threads=1), Stages(network)
        self._examples, self._names = examples, names
        self._nearest = None if examples is None else Nearest(examples)
        self._reading = threading.Lock()

    @property
    def has_examples(self) -> bool:
        return self._nearest is not None

    def see(self, picture: bytes) -> tuple[np.ndarray, str]:
        """What the network is to see of a picture, and what there is to be said of it."""
        with self._reading, warnings.catch_warnings(record=True) as caught:  # the filters are those of all threads
            warnings.simplefilter("always")
            seen = self._see(picture)
        return seen, SEVERAL if caught else ""

    def look(self, picture: bytes) -> dict[str, Any]:
        """All that the page shows of a picture, as JSON can say it. ValueError if it cannot be read."""
        seen, note = self.see(picture)
        x = self._input_of(seen)[None]
        outputs = self._predictor(x)[0]
        if not np.isfinite(outputs).all():
            raise ValueError("the network's outputs are not finite numbers; its weights may be damaged")
        return {
            "seen": encoded(seen),
            "note": note,
            "outputs": outputs.tolist(),
            "probabilities": None if len(outputs) == 1 else self._predictor.probabilities(x)[0].tolist(),
            "layers": [{"label": label} | maps_of(y) for label, y in self._stages(x)],
            "nearest": self._alike(seen),
        }

    def _alike(self, seen: Array) -> list[dict[str, Any]]:
        if self._nearest is None:
            return []
        return [{"name": self._names[i], "image": encoded(self._examples[i])} for i in self._nearest(seen)]


def maps_of(y: Array) -> dict[str, Any]:
    """Outputs of a layer, (c, h, w) or (n,), as many as are shown, as int8: 127 is the peak."""
    shown = np.nan_to_num(y[: MOST_MAPS if y.ndim == 3 else MOST_NUMBERS])
    peak = float(np.abs(shown).max(initial=0))
    return {
        "shape": y.shape,
        "peak": peak,
        "values": encoded(np.rint(shown * (127 / max(peak, 1e-30))).astype(np.int8)),
    }


def encoded(array: Array) -> dict[str, Any]:
    """Bytes, as `decoded` in encoding.js takes them."""
    return {"shape": array.shape, "data": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()}
