"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import functools
import glob
import io
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .._types import StrPath

__all__ = ["atomic_write"]

IN_PLACE = (errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS)  # a file that is there cannot be replaced


@contextmanager
def atomic_write(path: StrPath) -> Iterator[Any]:
    """Open a binary file that takes the place of `path` once the block ends without an error.

    Until then, and for good if the block raises, whatever was at `path` stays as it was. A link stays a link: what it
    leads to is written. A file keeps its mode and its owner. One that cannot be replaced, such as a mount, is
    overwritten, while a copy of what it is to hold lies beside it. A pipe gets everything at the end.

    OSError, which names `path`, for directories, devices, files that are read-only, and whatever else goes wrong.

    Examples
    --------
    >>> import os, tempfile, pymnistcnn as pm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with pm.datasets.atomic_write(f"{folder}/model") as file:
    ...         _ = file.write(b"weights")
    ...     os.listdir(folder)
    ['model']
    """
    with errors_of(path):
        old = what_is_there(path)
        if is_pipe(old):
            file = io.BytesIO()
            yield file
            write_to_pipe(path, file.getbuffer())
            return
        target = os.path.realpath(path)
        with Temporary(target, old) as temporary:
            yield temporary.file
            temporary.file.flush()
            os.fsync(temporary.file.fileno())  # the data must reach the disk before the name does
            temporary.take_place(target, old)


def check_writable(path: StrPath) -> None:
    """OSError, which names `path`, if `atomic_write` could not write there, as far as this can be told before."""
    with errors_of(path):
        old = what_is_there(path)
        if not is_pipe(old):
            with Temporary(os.path.realpath(path), old):
                pass


@contextmanager
def only_writer(path: StrPath) -> Iterator[Any]:
    """While it lasts, whoever else asks for the same path gets a BlockingIOError, in this process or another."""
    with errors_of(path):
        place = beside(path, "lock")
        while True:
            lock = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not locked(lock):
                    raise BlockingIOError(errno.EAGAIN, "another training writes it at the moment")
                if is_at(lock, place):
                    break
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)  # whoever had it has just removed it
    try:
        yield  # what goes wrong here is not this file's
    finally:
        with suppress(FileNotFoundError):
            os.unlink(place)
        os.close(lock)


# ---- what there is ----


@contextmanager
def errors_of(path: StrPath) -> Iterator[Any]:
    """Errors that name no file, or one of ours, name the path that was asked for."""
    try:
        yield
    except OSError as error:
        if error.filename is None or _stands_for(error.filename, path):
            error.filename = os.fspath(path)
            del error.filename2  # a message has even a None
        raise


def _stands_for(filename: str, path: StrPath) -> bool:
    """Is it a path's target, or a file of ours beside it?"""
    target = os.path.realpath(path)
    ours = f".{os.path.basename(target)[:NAME]}."
    return filename == target or os.path.basename(os.fsdecode(filename)).startswith(ours)


def what_is_there(path: StrPath) -> os.stat_result | None:
    """A file or a pipe that may be written to, or nothing; an OSError for anything else."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(there.st_mode) and not stat.S_ISFIFO(there.st_mode):
        raise OSError(errno.EINVAL, "neither a regular file nor a pipe")
    if not there.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "read-only")
    return there


def is_pipe(there: Any) -> bool:
    return there is not None and stat.S_ISFIFO(there.st_mode)


def write_to_pipe(path: StrPath, content: Any) -> None:
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # with nobody at the other end it would wait for ever
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads from this pipe") from None
        raise
    os.set_blocking(pipe, True)
    with open(pipe, "wb") as file:
        file.write(content)


# ---- temporary files ----

NAME = 60  # characters of a file's name in that of its temporary file


def beside(path: StrPath, suffix: str) -> str:
    """The name of a hidden file in the same folder: a rename stays on one disk."""
    folder, name = os.path.split(os.path.realpath(path))
    return os.path.join(folder, f".{name[:NAME]}.{suffix}")


def locked(file: Any) -> bool:
    """Is it ours now? Yes, too, where there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def is_at(file: int, path: StrPath) -> bool:
    """Does the path still lead to an open file?"""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


@functools.lru_cache(maxsize=64)
def clear_leftovers(target: Any) -> None:
    """Remove the temporary files of writers that were killed: nobody holds their locks. Once a process and target."""
    folder, name = os.path.split(target)
    for left in Path(folder).glob(f".{glob.escape(name[:NAME])}.*.tmp"):
        with suppress(OSError), open(left, "rb") as file:
            if locked(file):
                os.unlink(left)


class Temporary:
    """A new file in the folder of another, which it is to replace; where that folder takes none, and the other file is
    there, in the system's folder for such. It is gone in the end."""

    file: Any
    path: str

    def __init__(self, target: Any, old: Any) -> None:
        clear_leftovers(target)
        try:
            self._create(target)
        except OSError as error:
            if old is None or error.errno not in IN_PLACE:
                raise
            self._create(os.path.join(tempfile.gettempdir(), os.path.basename(target)))

    def _create(self, target: Any) -> None:
        while True:
            self.path = beside(target, f"{secrets.token_hex(8)}.tmp")
            self.file = open(self.path, "x+b")
            try:
                if locked(self.file) and is_at(self.file.fileno(), self.path):
                    return
            except BaseException:
                self.__exit__()
                raise
            self.file.close()  # somebody took it for a leftover

    def __enter__(self) -> Temporary:
        return self

    def __exit__(self, *error: Any) -> None:
        with suppress(OSError):
            self.file.close()
        if self.path is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.path)

    def take_place(self, target: Any, old: Any) -> None:
        """Become the target; or, where that cannot be, overwrite it."""
        try:
            if old is not None:
                self._look_like(old)
            os.replace(self.path, target)
        except OSError as error:
            if old is None or error.errno not in IN_PLACE:
                raise
            self._overwrite(target, old)

    def _look_like(self, old: Any) -> None:
        file, new = self.file.fileno(), os.fstat(self.file.fileno())
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            os.fchown(file, old.st_uid, old.st_gid)
        os.fchmod(file, stat.S_IMODE(old.st_mode))

    def _overwrite(self, target: Any, old: Any) -> None:
        copy = os.path.join(os.path.dirname(self.path), f"{os.path.basename(target)}.copy")
        os.replace(self.path, copy)  # under a name that nobody takes for a leftover
        self.path = copy
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        with open(target, "r+b") as out:
            try:
                if size:  # a full disk is to be told of before anything is lost
                    os.posix_fallocate(out.fileno(), 0, size)
            except OSError:
                out.truncate(old.st_size)
                raise
            try:
                shutil.copyfileobj(self.file, out)
                out.truncate(size)
                out.flush()
                os.fsync(out.fileno())
            except OSError as error:
                self.path = None  # the copy stays
                raise OSError(
                    error.errno, f"{error.strerror}, while it was overwritten; it is whole in {copy}"
                ) from None
