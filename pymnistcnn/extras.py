"""What is not installed with the package, but with one of its extras."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class MissingExtra(ImportError):
    """A library that an extra brings is not there; the message is the command that brings it."""


def needed(module: str, extra: str) -> Any:
    """A library that is there, or MissingExtra."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(f"{module} does not import ({error}); run: pip install 'pymnistcnn[{extra}]'") from error
