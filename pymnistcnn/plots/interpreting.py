"""What several functions here take: a model and data, or what `pm.interpret` gave of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ..interpretation import Interpretation, interpret
from ..model import Sequential

if TYPE_CHECKING:
    from .._types import ArrayLike
    from ..datasets import Dataset

Of: TypeAlias = Sequential | Interpretation
Data: TypeAlias = "Dataset | tuple[ArrayLike, ArrayLike] | None"


def interpreted(of: Of, data: Any) -> Interpretation:
    if not isinstance(of, Interpretation):
        if data is None:
            raise ValueError("a model needs data to be looked at: give a Dataset, or inputs and labels, too")
        return interpret(of, data)
    if data is not None:
        raise ValueError("what pm.interpret gives has its data: leave out those that are given besides")
    return of
