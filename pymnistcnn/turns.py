"""Turns: one thread at a time."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any


class Turns:
    """Who may run a network: one thread at a time; the others wait.

    A thread that is in a run already cannot wait for itself: what Python calls in between, such as a signal handler,
    gets a RuntimeError. After a fork the lock is a new one: whoever held it is not in the child.
    """

    everywhere: weakref.WeakSet[Turns] = weakref.WeakSet()

    def __init__(self) -> None:
        self.renew()
        Turns.everywhere.add(self)

    def renew(self) -> None:
        self._lock = threading.RLock()  # which knows its thread

    def mine(self) -> Any:
        """A lock to enter."""
        if self._lock._is_owned():
            raise RuntimeError(
                "this model is in use by this very thread, which was interrupted: it cannot be used here"
            )
        return self._lock


def renew_all_turns() -> None:
    for turns in Turns.everywhere:
        turns.renew()


os.register_at_fork(after_in_child=renew_all_turns)
