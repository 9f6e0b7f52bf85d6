"""A disk, and a machine, that fail: every call that saving makes, one after the other."""

import builtins
import errno
import itertools
import os
import signal
import types

from pymnistcnn.datasets import atomic

ERRORS = [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EINTR]


class Calls:
    """Stands for the system's calls in `atomic`: the one of this number fails with an error, or kills the process.

    number : from 0 on; None for none
    failure : an errno, or "kill"
    """

    def __init__(self, number=None, failure=errno.EIO):
        self.number, self.failure, self.made = number, failure, []

    def before(self, name):
        """What happens as a call is made."""
        self.made.append(name)
        if len(self.made) - 1 == self.number:
            if self.failure == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(self.failure, os.strerror(self.failure))

    def wrapped(self, name, function):
        def call(*arguments, **extra):
            self.before(name)
            return function(*arguments, **extra)

        return call

    def open(self, *arguments, **extra):
        self.before("open")
        return File(builtins.open(*arguments, **extra), self)

    def __enter__(self):
        changing = ("open", "replace", "fsync", "unlink", "fchmod", "fchown", "stat", "fstat", "posix_fallocate")
        fake = types.SimpleNamespace(**{name: getattr(os, name) for name in dir(os)})
        for name in changing:
            setattr(fake, name, self.wrapped(name, getattr(os, name)))
        atomic.os, atomic.open = fake, self.open
        return self

    def __exit__(self, *error):
        atomic.os = os
        del atomic.open


class File:
    """A file whose calls are counted, too."""

    def __init__(self, file, calls):
        self._file, self._calls = file, calls

    def __getattr__(self, name):
        function = getattr(self._file, name)
        return self._calls.wrapped(name, function) if name in ("write", "flush", "truncate") else function

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()


def every_failure(save, failure):
    """Call `save` with its first system call failing, then its second, ... until none is left to fail; after each,
    yields what was raised, or None."""
    for number in itertools.count():
        with Calls(number, failure) as calls:
            try:
                save()
                raised = None
            except OSError as error:
                raised = error
        if len(calls.made) <= number:
            return
        yield calls.made[number], raised


def killed_everywhere(save):
    """Call `save` in a process that is killed before its first system call, then before its second, ... until it comes
    to its end; yields after each kill."""
    for number in itertools.count():
        child = os.fork()
        if child == 0:
            try:
                with Calls(number, "kill"):
                    save()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return
        yield number
