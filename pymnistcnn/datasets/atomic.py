"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path):
    """Open a binary file that takes the place of `path` once the block ends without an error.

    Until then, and for good if the block raises, whatever was at `path` stays as it was.

    Examples
    --------
    >>> import os, tempfile, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with pm.datasets.atomic_write(f"{folder}/model") as file:
    ...         _ = file.write(b"weights")
    ...     os.listdir(folder)
    ['model']
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")  # same folder: a rename stays on one disk
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the data must reach the disk before the name does
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
