"""Several processes train together, by MPI: on this machine, more of them than it has processors."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pymnistcnn as pm

pytest.importorskip("mpi4py", reason="needs mpi4py")
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason="needs mpiexec")
HERE = Path(__file__).parent


def mpi(ranks, *arguments, **how):
    """What a command that so many processes run together gives."""
    with_ours = dict(os.environ, PYTHONPATH=os.pathsep.join([str(Path(pm.__file__).parents[1]), str(HERE)]))
    return subprocess.run([MPIEXEC, "-n", str(ranks), sys.executable, *map(str, arguments)], capture_output=True,
                          text=True, timeout=120, env=with_ours, **how)  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_the_weights_are_those_of_one_process(ranks, tmp_path):
    """Every optimizer, clipping, averaging, batch norm, augmentation, dropout; up to 2 with 1 and 2 threads each."""
    from mpi_cases import CASES

    done = mpi(ranks, HERE / "mpi_cases.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{case}: same on {ranks} ranks" for case in CASES]


JOB = """
import os, signal, sys, numpy as np, pymnistcnn as pm
from mpi4py import MPI
comm = MPI.COMM_WORLD
x, y = np.random.default_rng(0).integers(0, 256, (200, 1, 8, 8), np.uint8), np.arange(200) % 4
class At(pm.Callback):
    every = 1
    def on_batches(self, training):
        if (training.epoch, training.batch) == (1, 3):
            happens(training)
def happens(training):
    pass
how = dict(epochs=3, batch_size=20, progress=False, comm=comm, threads=1)
model = pm.Sequential([pm.Rescaling(1 / 255), pm.Conv2d(4, 3), pm.BatchNorm2d(), pm.ReLU(), pm.Flatten(),
                       pm.Dropout(0.1), pm.Linear(4)], (1, 8, 8), seed=5)
"""


def job(tmp_path, code, ranks):
    (tmp_path / "job.py").write_text(JOB + code)
    started = time.monotonic()
    done = mpi(ranks, "job.py", cwd=tmp_path)
    assert time.monotonic() - started < 60
    return done


SAVE = """
model.fit(x, y, callbacks=[At()], **how)
if comm.rank == 0:
    model.save("whole")
"""


@pytest.mark.parametrize(
    "happens",
    [
        "if comm.rank == 1: os.kill(os.getpid(), signal.SIGKILL)",
        "if comm.rank == 1: raise RuntimeError('the disk is full')",
    ],
    ids=["killed", "error"],
)
def test_a_rank_that_dies_ends_all_and_others_go_on(happens, tmp_path):
    """The last checkpoint is whole, and any number of ranks goes on from it, to the same bits."""
    assert job(tmp_path, SAVE, 1).returncode == 0
    died = job(tmp_path, f"def happens(training):\n    {happens}\n"
               "model.fit(x, y, callbacks=[At()], checkpoint=pm.Checkpoint('run', every=1), **how)", 4)  # fmt: skip
    assert died.returncode != 0 and not (tmp_path / "died").exists()
    assert died.stderr.count("rank 1 of 4: RuntimeError: the disk is full") == ("disk" in happens)
    for ranks in (1, 3):
        done = job(tmp_path, "model.fit(x, y, callbacks=[At()], resume='run', **how)\n"
                             "if comm.rank == 0: model.save('resumed')", ranks)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_an_error_of_all_is_told_once(tmp_path):
    done = job(
        tmp_path, "def happens(training):\n    raise KeyboardInterrupt\nmodel.fit(x, y, callbacks=[At()], **how)", 3
    )
    assert done.returncode != 0 and done.stderr.count(" of 3: ") == done.stderr.count("rank 0 of 3: interrupted") == 1


OTHER = "must be the same on all ranks: rank 1 has others than rank 0"


@pytest.mark.parametrize(
    "code, said",
    [
        ("how['batch_size'] += comm.rank\nmodel.fit(x, y, **how)", f"model, data and arguments {OTHER}"),
        ("model.fit(x, y, shuffle=comm.rank == 0, **how)", f"model, data and arguments {OTHER}"),
        ("model.fit(x ^ np.uint8(comm.rank), y, **how)", f"model, data and arguments {OTHER}"),
        ("model.fit(x, (y + comm.rank) % 4, **how)", f"model, data and arguments {OTHER}"),
        ("model.fit(x, y, validation=(x[comm.rank:], y[comm.rank:]), **how)", f"model, data and arguments {OTHER}"),
        ("model.fit([(x, y)], shuffle_buffer=9 + comm.rank, **how)", f"model, data and arguments {OTHER}"),
        ("model.fit(lambda: [(x, y)] * (1 + comm.rank), **how)", f"what a stream gives {OTHER}"),
        ("model.fit(x, y, checkpoint=pm.Checkpoint('c', every=1), callbacks=[At()], **how)\n"
         "model.fit(x, y, resume=None if comm.rank else 'c', **how)", "rank 0 of 2"),
        ("model.fit(x, y + 4 * comm.rank, **how)", "rank 1 of 2: ValueError: train labels must be from 0 to 3"),
        ("how['epochs'] = 1 - comm.rank\nmodel.fit(x, y, **how)", "rank 1 of 2: ValueError: epochs must be"),
        ("model.fit(x[:, :, : 8 - comm.rank], y, **how)", "rank 1 of 2: ValueError: train"),
        ("def read():\n    open('x' * comm.rank or __file__)\n    yield x, y\nmodel.fit(read, **how)",
         "rank 1 of 2: FileNotFoundError"),
    ],
    ids=["batch size", "shuffle", "pictures", "labels", "validation", "buffer", "length of a stream", "resume",
         "wrong label", "wrong epochs", "wrong shape", "unreadable stream"],
)  # fmt: skip
def test_ranks_that_do_not_fit_together_are_refused(code, said, tmp_path):
    """At once: none waits for another that has given up."""
    done = job(tmp_path, code, 2)
    assert done.returncode != 0 and said in done.stderr


def test_what_cannot_be_done_together():
    MPI = pytest.importorskip("mpi4py.MPI", reason="needs MPI")
    model, data = pm.Sequential([pm.Linear(2)], (3,)), (np.ones((4, 3), np.float32), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="comm must be a communicator of mpi4py"):
        model.fit(data, comm=7)
    with pytest.raises(ValueError, match="comm is for the processor, not for emulated"):
        model.fit(data, comm=MPI.COMM_WORLD, device="emulated")
    with pytest.raises(ValueError, match="comm is for networks and losses without Python"):
        model.fit(data, comm=MPI.COMM_WORLD, loss=lambda y, t: (0.0, y))


def test_a_file_that_is_missing_is_told_once(tmp_path):
    done = mpi(2, "-m", "pymnistcnn", "train", "--data", "nowhere", "--distributed", cwd=tmp_path)
    assert done.returncode != 0 and done.stderr.count("nowhere") == 1


GONE = """
import shutil, pymnistcnn as pm
from pymnistcnn.cli import main
fit = pm.Sequential.fit
def fit_and_lose_the_folder(*arguments, **how):
    history = fit(*arguments, **how)
    shutil.rmtree("out", ignore_errors=True)
    return history
pm.Sequential.fit = fit_and_lose_the_folder
main()
"""


def test_what_was_learnt_is_not_lost_where_it_cannot_be_saved(tmp_path):
    train, _ = pm.datasets.mnist()
    np.savez(tmp_path / "few.npz", x_train=train.images[:100], y_train=train.labels[:100])
    (tmp_path / "gone.py").write_text(GONE)
    (tmp_path / "out").mkdir()
    done = mpi(2, "gone.py", "train", "--data", "few.npz", "--threads", 1, "--distributed", "--output",
               "out/digits.safetensors", cwd=tmp_path)  # fmt: skip
    (saved,) = tmp_path.glob("digits-*.safetensors")
    assert done.returncode != 0 and f"what was learnt is in {saved} instead" in done.stderr
    assert mpi(1, "-m", "pymnistcnn", "train", "--data", "few.npz", "--output", "alone.safetensors",
               cwd=tmp_path).returncode == 0  # fmt: skip
    assert saved.read_bytes() == (tmp_path / "alone.safetensors").read_bytes()


def test_the_command_line(tmp_path):
    """Rank 0 alone prints and saves; the file is that of one process."""
    train, _ = pm.datasets.mnist()
    np.savez(tmp_path / "few.npz", x_train=train.images[:600], y_train=train.labels[:600])
    arguments = ["-m", "pymnistcnn", "train", "--data", "few.npz", "--threads", 1, "--output"]
    together = mpi(3, *arguments, "together.safetensors", "--distributed", "--checkpoint-every", 2, cwd=tmp_path)
    assert together.returncode == 0, together.stderr
    assert together.stdout.count("test accuracy") == 1 and together.stderr.count("epoch 1/1") == 1
    assert mpi(1, *arguments, "alone.safetensors", cwd=tmp_path).returncode == 0
    files = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("together", "alone")]
    assert files[0] == files[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.safetensors", "few.npz", "together.safetensors"]


READS = """
import os, sys
from mpi4py import MPI
from pymnistcnn.cli import main
opened = set()
sys.addaudithook(lambda event, arguments: event == "open" and opened.add(os.path.basename(str(arguments[0]))))
main(sys.argv[1:], standalone_mode=False)
print(f"rank {MPI.COMM_WORLD.rank} opened them: {not opened.isdisjoint(os.listdir('data'))}", flush=True)
"""


@pytest.mark.parametrize("raw", [False, True])
def test_the_command_line_reads_data_once(raw, tmp_path):
    """Rank 0 alone opens the file, and all learn from what it sends. Raw files are mapped by all."""
    parts = zip(("train", "test"), pm.datasets.mnist(), strict=True)
    arrays = {f"{kind}_{name}": array[:600] for name, part in parts for kind, array in zip("xy", part, strict=True)}
    folder = tmp_path / "data"
    folder.mkdir()
    if raw:
        for name, array in arrays.items():
            np.save(folder / name, array)
    else:
        np.savez_compressed(folder / "few.npz", **arrays)
    (tmp_path / "job.py").write_text(READS)
    data = "data" if raw else "data/few.npz"
    done = mpi(3, "job.py", "train", "--data", data, "--threads", 1, "--distributed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = {line for line in done.stdout.splitlines() if line.startswith("rank ")}
    assert told == {"rank 0 opened them: True", f"rank 1 opened them: {raw}", f"rank 2 opened them: {raw}"}


@pytest.mark.parametrize("wrong", [["--epochs", "many"], ["--batch-size", 0], ["fastest"]])
def test_bad_use_is_told_once(wrong, tmp_path):
    done = mpi(3, "-m", "pymnistcnn", "train", "--distributed", *wrong, cwd=tmp_path)
    assert done.returncode and done.stderr.count(" of 3: ") == 1 and "rank 0 of 3: " in done.stderr
