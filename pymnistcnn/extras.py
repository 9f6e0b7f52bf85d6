"""What is not installed with the package, but with one of its extras."""

from importlib import import_module


class MissingExtra(ImportError):
    """A library that an extra brings is not there; the message is the command that brings it."""


def needed(module, extra):
    """A library that is there, or MissingExtra."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(f"{module} does not import ({error}); run: pip install 'pymnistcnn[{extra}]'") from error
