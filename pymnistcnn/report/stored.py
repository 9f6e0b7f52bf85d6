"""What a network's file says of its training: of a checkpoint, much; of others, what somebody put in their notes."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np

from .. import checkpoints, files
from .._types import StrPath
from ..checkpoints import TRAINING
from ..training import History

NAMES = [field.name for field in fields(History)]


def stored(path: StrPath) -> tuple[History | None, dict[str, Any]]:
    """The history of a safetensors file, if it has one, and the settings of a checkpoint's training."""
    description, arrays = files.read(path)
    if TRAINING not in description:
        notes = description.get("notes")
        return history_of(notes.get("history") if isinstance(notes, dict) else None), {}
    saved = checkpoints.read(path)[0][TRAINING]
    lists = {name: arrays.get(f"{TRAINING}.history.{name}") for name in NAMES}
    settings = saved["settings"] if isinstance(saved.get("settings"), dict) else {}
    return history_of({name: np.ravel(a).tolist() for name, a in lists.items() if a is not None}), settings


def history_of(lists: Any) -> History | None:
    """A History of lists of numbers by name, as `history.history` has them; None of anything else."""
    if not isinstance(lists, dict) or not all(isinstance(lists.get(name, []), list) for name in NAMES):
        return None
    history = History(**{name: lists.get(name, []) for name in NAMES})
    lengths = {len(values) for values in history.history.values()}
    numbers = [value for values in history.history.values() for value in values]
    sound = all(type(value) in (int, float) and not math.isinf(value) for value in numbers)
    return history if history.loss and len(lengths) == 1 and sound else None
