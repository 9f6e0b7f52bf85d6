"""What is made ready in a thread while something else is in use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")


def in_advance(items: Generator[T, None, None]) -> Iterator[T]:
    """The same items, the next of which is made in a thread while one is in use."""
    ready, stopped = queue.Queue(1), threading.Event()

    def hand_over(item: T | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return ready.put((item, error), timeout=0.1)
            except queue.Full:
                pass

    def make() -> None:
        try:
            with closing(items):
                for item in items:
                    hand_over(item, None)
                    if stopped.is_set():
                        return
            hand_over(None, None)
        except BaseException as error:
            hand_over(None, error)

    threading.Thread(target=make, name="ahead", daemon=True).start()  # one that hangs keeps no process alive
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        stopped.set()
