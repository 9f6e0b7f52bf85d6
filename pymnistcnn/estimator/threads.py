"""How many threads an estimator takes: n_jobs as scikit-learn has it, beside joblib and threadpoolctl."""

from __future__ import annotations

import os

import joblib
import threadpoolctl

from .. import processors
from .._native import __file__ as native_path
from .._native import __version__ as native_version
from ..checks import INT_MAX, whole
from ..network import OPENMP_IS_TOLD, default_threads


def threads_of(n_jobs: int | None) -> int:
    """All that there are for -1, all but one for -2; for None, too, but one where joblib keeps threads busy already:
    its processes are told what they may use."""
    if n_jobs is None:
        backend, _ = joblib.parallel.get_active_backend()
        inside = (backend.nesting_level or 0) > 0 and backend.supports_sharedmem
        return 1 if inside else default_threads()
    n_jobs = whole("n_jobs", n_jobs, -INT_MAX)
    if n_jobs == 0:
        raise ValueError("n_jobs must be a number of threads from 1 on, or -1 for all there are, not 0")
    return n_jobs if n_jobs > 0 else max(1, default_threads() + 1 + n_jobs)


class _Controller(threadpoolctl.LibController):
    """`threadpoolctl.threadpool_limits(2)` holds for all threads of Python: OpenMP's own limit is of one."""

    user_api: str = "openmp"
    internal_api: str = "pymnistcnn"
    filename_prefixes: tuple[str, ...] = (os.path.basename(native_path).lower(),)

    def get_num_threads(self) -> int:
        return default_threads()

    def set_num_threads(self, num_threads: int) -> None:
        enough = not OPENMP_IS_TOLD and num_threads >= processors.processors()  # as when a limit is taken back
        processors.limit(None if enough else num_threads)

    def get_version(self) -> str:
        return native_version


threadpoolctl.register(_Controller)
