"""Data larger than memory: files that stay where they lie, and streams of chunks."""

import itertools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn import mapped, sources
from pymnistcnn.ahead import in_advance
from pymnistcnn.mapped import mapped_of

RNG = np.random.default_rng(0)
N = 700
X = RNG.integers(0, 256, (N, 8, 8), np.uint8)
Y = X.reshape(N, 4, 16).mean(axis=2).argmax(axis=1)


def layers():
    """What is random goes by the number of a picture, or by its place in the epoch."""
    return [
        *(pm.Rescaling(1 / 255), pm.Augmentation(rotation=10, shift=1), pm.GaussianNoise(0.1), pm.Conv2d(5, 3)),
        *(pm.BatchNorm2d(), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Dropout(0.3), pm.Linear(4)),
    ]


def made(seed=1):
    return pm.Sequential(layers(), input_shape=(1, 8, 8), seed=seed)


def fit(data, **arguments):
    model = made()
    history = model.fit(data, **{**dict(epochs=2, batch_size=16, progress=False, optimizer=pm.Adam(0.01)), **arguments})
    return model.network.param.tobytes(), history


def chunks(size=90, x=X, y=Y):
    return ((x[start : start + size], y[start : start + size]) for start in range(0, len(x), size))


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "x_train.npy", X)
    np.save(tmp_path / "y_train.npy", Y)
    return tmp_path


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 5 batches of 16, of any file."""
    monkeypatch.setattr(sources, "MOST_SAMPLES", 80)
    monkeypatch.setattr(sources, "SMALL", 0)


# ---- files ----


@pytest.mark.parametrize("form", ["npy", "idx"])
def test_images_stay_in_their_file(form, tmp_path):
    if form == "npy":
        for part in ("train", "test"):
            np.save(tmp_path / f"x_{part}.npy", X)
            np.save(tmp_path / f"y_{part}.npy", Y)
    else:
        for part in ("train", "t10k"):
            pm.datasets.write_idx(tmp_path / f"{part}-images-idx3-ubyte", X)
            pm.datasets.write_idx(tmp_path / f"{part}-labels-idx1-ubyte", Y.astype(np.uint8))
    for data in pm.datasets.read(tmp_path, memory_map=True):
        assert mapped_of(data.images) and mapped_of(data.images[3:]) and not data.images.flags.writeable
        assert (data.images == X).all() and (data.labels == Y).all()
        with mapped_of(data.images[5:]).opened() as rows:
            assert (rows.read(np.array([7, 0, 3])) == X[[12, 5, 8]]).all()


def test_the_last_images_are_put_aside(folder):
    train, test = pm.datasets.read(folder, memory_map=True, fraction=0.1)
    assert (train.images == X[:630]).all() and (test.images == X[630:]).all()
    assert mapped_of(train.images) and mapped_of(test.images)


def packed(folder):
    pm.datasets.write_idx(folder / "train-images-idx3-ubyte.gz", X)
    pm.datasets.write_idx(folder / "train-labels-idx1-ubyte.gz", Y.astype(np.uint8))


def of_floats(folder):
    np.save(folder / "x_train.npy", X / 255)
    np.save(folder / "y_train.npy", Y)


def channels_last(folder):
    np.save(folder / "x_train.npy", np.repeat(X[..., None], 3, axis=3))
    np.save(folder / "y_train.npy", Y)


def empty(folder):
    np.save(folder / "x_train.npy", X[:0])
    np.save(folder / "y_train.npy", Y[:0])


def nothing(folder):
    np.save(folder / "y_train.npy", Y)
    (folder / "x_train.npy").touch()


def archive(folder):
    np.savez(folder / "data.npz", x_train=X, y_train=Y)


@pytest.mark.parametrize(
    "write, message",
    [
        (packed, "memory_map is for raw IDX and .npy files of uint8, not for a file that is packed"),
        (of_floats, "memory_map is for raw IDX and .npy files of uint8, not for float64"),
        (empty, "not for a file that is empty"),
        (nothing, "x_train.npy: expected a .npy header, got nothing"),
        (channels_last, "not channels last"),
        (archive, "memory_map is for raw IDX and .npy files|expected"),
        (lambda folder: None, "memory_map is for raw IDX and .npy files"),
    ],
)
def test_what_cannot_be_mapped(write, message, tmp_path):
    write(tmp_path)
    with pytest.raises(pm.datasets.DataError, match=message):
        pm.datasets.read(tmp_path, memory_map=True)


@pytest.mark.parametrize("name", [None, "mnist", "MNIST", "sklearn-digits"])
def test_what_lies_in_a_package_is_not_mapped(name):
    with pytest.raises(pm.datasets.DataError, match="memory_map is for raw IDX and .npy files, not for what is packed"):
        pm.datasets.read(name, memory_map=True)


@pytest.mark.parametrize("option", [
    {"size": 4}, {"shape": (8, 8)}, {"label_first": False}, {"skip_damaged": True},
])  # fmt: skip
def test_options_of_other_files_are_refused(option, folder):
    with pytest.raises(ValueError, match=f"{next(iter(option))} is for text files or pictures, and memory_map for raw"):
        pm.datasets.read(folder, memory_map=True, **option)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_mapped_file_gives_the_bits_of_memory(folder, small_parts, shuffle, threads):
    images = np.load(folder / "x_train.npy", mmap_mode="r")
    how = dict(shuffle=shuffle, threads=threads, validation=(X[:50], Y[:50]), sample_weight=np.linspace(0.5, 2, N))
    bits, history = fit((X, Y), **how)
    assert (bits, history.loss) == (lambda got: (got[0], got[1].loss))(fit((images, Y), **how))
    assert made().evaluate(images, Y) == made().evaluate(X, Y)


def test_on_a_device_too(folder, small_parts):
    images, how = np.load(folder / "x_train.npy", mmap_mode="r"), dict(device="emulated", epochs=1)
    assert fit((images[:100], Y[:100]), **how)[0] == fit((X[:100], Y[:100]), **how)[0]
    in_order = fit((X[:100], Y[:100]), shuffle=False, **how)[0]
    assert fit(lambda: chunks(x=X[:100], y=Y[:100]), **how)[0] == in_order


def test_a_file_that_was_replaced_is_read_from_its_map(folder, small_parts):
    images = np.load(folder / "x_train.npy", mmap_mode="r")
    (folder / "other.npy").write_bytes((folder / "x_train.npy").read_bytes()[::-1])
    os.replace(folder / "other.npy", folder / "x_train.npy")
    assert fit((images, Y))[0] == fit((X, Y))[0]


@pytest.mark.parametrize("cut", [(0, 3), (1, 5), (1, 9)])
def test_a_training_on_a_mapped_file_is_resumed(folder, small_parts, cut, tmp_path):
    images, path = np.load(folder / "x_train.npy", mmap_mode="r"), tmp_path / "checkpoint"
    fit((images, Y), callbacks=[Cut(*cut)], checkpoint=pm.Checkpoint(path))
    assert fit((images, Y), resume=path)[0] == fit((X, Y))[0] == fit((X, Y), resume=path)[0]


class Cut(pm.Callback):
    every = 1

    def __init__(self, epoch, batch):
        self.place = epoch, batch

    def on_batches(self, training):
        if (training.epoch, training.batch) == self.place:
            training.stop()


@pytest.mark.parametrize("small, reads", [(X.nbytes, 1), (X.nbytes - 1, 2)])
def test_a_small_file_is_read_once(folder, monkeypatch, small, reads):
    found, read = [], mapped.Rows.read
    monkeypatch.setattr(sources, "SMALL", small)
    monkeypatch.setattr(mapped.Rows, "read", lambda *given: found.append(len(given[1])) or read(*given))
    bits, _ = fit((np.load(folder / "x_train.npy", mmap_mode="r"), Y), epochs=2)
    assert found == [N] * reads
    assert bits == fit((X, Y), epochs=2)[0]


def test_a_small_file_that_was_replaced_is_read_from_its_map(folder):
    images = np.load(folder / "x_train.npy", mmap_mode="r")
    (folder / "other.npy").write_bytes((folder / "x_train.npy").read_bytes()[::-1])
    os.replace(folder / "other.npy", folder / "x_train.npy")
    assert fit((images, Y))[0] == fit((X, Y))[0]


def test_rows_that_are_soon_needed_are_asked_for(folder, small_parts, monkeypatch):
    """A slow disk: nothing is in the system's cache, and what was not asked for comes late."""
    asked, late = set(), []
    monkeypatch.setattr(mapped.Rows, "_is_cached", lambda rows, place: False)
    monkeypatch.setattr(os, "posix_fadvise", lambda file, begin, size, advice: asked.add(begin))
    read = mapped.Rows.read

    def noted(rows, numbers, wanted):
        late.append(len({rows._start + int(n) * rows._size for n in numbers} - asked))
        return read(rows, numbers, wanted)

    monkeypatch.setattr(mapped.Rows, "read", noted)
    fit((np.load(folder / "x_train.npy", mmap_mode="r"), Y), epochs=1)
    assert late == [80, *[0] * 8]


def test_rows_in_the_cache_are_not_asked_for(folder, monkeypatch):
    monkeypatch.setattr(os, "posix_fadvise", lambda *given: pytest.fail("asked for"))
    images = np.load(folder / "x_train.npy", mmap_mode="r")
    assert images.sum()
    with mapped_of(images).opened() as rows:
        rows.soon(np.arange(N))


def test_a_file_that_became_shorter_is_an_error(folder, small_parts):
    images = np.load(folder / "x_train.npy", mmap_mode="r")
    with mapped_of(images).opened() as rows:
        os.truncate(folder / "x_train.npy", images.nbytes // 2)
        with pytest.raises(OSError, match="4 of 5 samples could not be read"):
            rows.read(np.array([0, *range(N - 4, N)]))
    with pytest.raises(OSError, match=f"{N // 2 + 2} of {N} samples could not be read"):  # the header is two
        mapped_of(images).check()
    mapped_of(images[: N // 2 - 2]).check()
    with pytest.raises(OSError, match="1 of 1 samples could not be read"):
        mapped_of(images[-1:]).check()


@pytest.mark.parametrize("how", [
    lambda model, images: model.evaluate(images, Y),
    lambda model, images: model.predict(images),
    lambda model, images: model.fit(X, Y, validation=(images, Y), progress=False),
])  # fmt: skip
def test_a_file_that_became_shorter_is_an_error_wherever_it_is_used(folder, how):
    """Not the end of the process, which what is read of a map behind the file's end is."""
    images, model = np.load(folder / "x_train.npy", mmap_mode="r"), made()
    os.truncate(folder / "x_train.npy", images.nbytes // 2)
    with pytest.raises(OSError, match="samples could not be read from their file"):
        how(model, images)


MEMORY = """
import sys, numpy as np, pymnistcnn as pm
path, kind = sys.argv[1:]
def peak():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) // 1024
labels = np.load(path + "/y.npy")
model = pm.Sequential([pm.Rescaling(1 / 255), pm.Conv2d(4, 5, stride=4), pm.ReLU(), pm.Flatten(), pm.Linear(10)],
                      input_shape=(1, 28, 28))
how = dict(batch_size=256, progress=False)
model.fit(np.zeros((20_000, 28, 28), np.uint8), labels[:20_000] * 0 + np.arange(20_000) % 10, **how)
before = peak()
images = np.load(path + "/x.npy", mmap_mode="r")
if kind == "mapped":
    model.fit(images, labels, checkpoint=pm.Checkpoint(path + "/checkpoint"), **how)
    model.evaluate(images, labels)
elif kind == "stream":
    def chunk(begin, n=5000):
        return np.fromfile(path + "/x.npy", np.uint8, n * 784, offset=128 + begin * 784).reshape(n, 28, 28)
    chunks = lambda: ((chunk(i), labels[i : i + 5000]) for i in range(0, len(labels), 5000))
    model.fit(chunks, shuffle_buffer=10_000, **how)
else:
    model.fit(np.array(images), labels, **how)
print(peak() - before)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """200 MB of pictures that augmentation makes of those there are."""
    folder, (train, _) = tmp_path_factory.mktemp("large"), pm.datasets.mnist()
    count, piece = 260_000, 20_000
    file = np.lib.format.open_memmap(folder / "x.npy", "w+", np.uint8, (count, 28, 28))
    for number, start in enumerate(range(0, count, piece)):
        augment = pm.Sequential([pm.Augmentation(shift=2, rotation=10)], (1, 28, 28), seed=number)
        pictures = augment.forward(train.images[:piece])
        file[start : start + piece] = pictures[:, 0].round().clip(0, 255)
    np.save(folder / "y.npy", np.resize(train.labels[:piece], count))
    del file
    yield folder
    (folder / "x.npy").unlink()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
@pytest.mark.parametrize("kind, least, most", [("mapped", 0, 45), ("stream", 0, 80), ("memory", 190, 10_000)])
def test_memory_stays_constant(large, kind, least, most):
    """A file of 200 MB takes no more memory than its order, and what is made ready: 3 parts."""
    done = subprocess.run([sys.executable, "-c", MEMORY, large, kind], capture_output=True, text=True, check=True)
    assert least <= int(done.stdout) < most


# ---- streams ----


def test_a_stream_gives_the_bits_of_arrays_in_order(small_parts):
    expected, history = fit((X, Y), shuffle=False)
    for size in (1, 16, 90, 333, N):
        got, of_stream = fit(lambda size=size: chunks(size))
        assert got == expected and of_stream.loss == history.loss


FORMS = {
    "function": lambda: chunks,
    "list": lambda: list(chunks()),
    "datasets": lambda: [pm.Dataset(x, y) for x, y in chunks()],
    "lists of two": lambda: Repeated([[x, y] for x, y in chunks()]),
    "weights": lambda: [(x, y, np.ones(len(y))) for x, y in chunks()],
    "floats": lambda: [(x.astype(np.float32), y) for x, y in chunks()],
    "channels": lambda: [(x[:, None], y) for x, y in chunks()],
    "two chunks": lambda: [(X[:100], Y[:100]), (X[100:], Y[100:])],
}


class Repeated:
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_streams(form, small_parts):
    assert fit(FORMS[form]())[0] == fit((X, Y), shuffle=False)[0]


def test_an_iterator_is_one_epoch(small_parts):
    assert fit(chunks(), epochs=1)[0] == fit((X, Y), epochs=1, shuffle=False)[0]
    with pytest.raises(ValueError, match="epochs must be 1 for an iterator, which can be read only once, not 2"):
        fit(chunks())


def test_a_buffer_that_is_overwritten_between_chunks(small_parts):
    def same_memory():
        x, y = np.empty((50, 8, 8), np.uint8), np.empty(50, np.int64)
        for start in range(0, N, 50):
            x[:], y[:] = X[start : start + 50], Y[start : start + 50]
            yield x, y

    assert fit(same_memory)[0] == fit((X, Y), shuffle=False)[0]


@pytest.mark.parametrize("buffer", [1, 7, 100, 5000])
def test_the_shuffle_buffer(buffer, small_parts):
    """All samples come, in an order that depends on seed and epoch alone, not far from their places."""
    orders = []

    class Orders(pm.Callback):
        every = 1

        def on_batches(self, training):
            part = training.part
            begin = (training.batch - 1) * 16
            orders.append(part.between(begin, min(begin + 16, part.first + part.count))[1].sample_weight)

    def numbered(size):
        return lambda: ((X[i : i + size], Y[i : i + size], np.arange(i, min(i + size, N)) + 1.0)
                        for i in range(0, N, size))  # fmt: skip

    bits, _ = fit(numbered(90), shuffle_buffer=buffer, callbacks=[Orders()])
    seen = np.concatenate(orders).astype(int) - 1
    first, second = seen[:N], seen[N:]
    assert sorted(first) == sorted(second) == list(range(N))
    assert (first - np.arange(N)).max() <= buffer
    assert (buffer == 1) == (first == np.arange(N)).all() == (first == second).all()
    assert bits == fit(numbered(33), shuffle_buffer=buffer)[0]
    assert (bits == fit(numbered(90))[0]) == (buffer == 1)
    if buffer > N:
        assert abs(np.corrcoef(first, np.arange(N))[0, 1]) < 0.15


def test_draws_from_a_small_buffer_are_the_plain_ones(small_parts):
    """The vectors do what a loop does: draw one that waits, let the next take its place."""
    from pymnistcnn.network import Targets
    from pymnistcnn.streams import Queue, Samples, shuffled

    def samples(numbers):
        return Samples(np.array(numbers)[:, None], Targets(None, None, None))

    drawn = shuffled(Queue(iter([samples(range(300))])), 5, 40, np.random.default_rng(3))
    got = np.concatenate([some.x[:, 0] for some in drawn])
    rng, waiting, expected = np.random.default_rng(3), list(range(5)), []
    coming = list(range(5, 300))
    for start in range(0, len(coming), 40):
        piece = coming[start : start + 40]
        for place, number in zip(rng.integers(0, 5, len(piece)), piece, strict=True):
            expected.append(waiting[place])
            waiting[place] = number
    expected += [waiting[i] for i in rng.permutation(5)]
    assert got.tolist() == expected


def test_steps_per_epoch(small_parts):
    def endless():
        return itertools.chain.from_iterable(chunks() for _ in itertools.count())

    _, history = fit(endless, steps_per_epoch=100, schedule=pm.OneCycle(0.01))
    assert len(history) == 2
    assert fit(chunks, steps_per_epoch=44, schedule=pm.Cosine(0.01))[0] == \
           fit((X, Y), shuffle=False, schedule=pm.Cosine(0.01))[0]  # fmt: skip
    for stream in (chunks, list(chunks())):  # longer than the epoch; of unknown, and of known length
        how = dict(steps_per_epoch=20, schedule=pm.OneCycle(0.01), average=pm.StochasticAverage(0.5))
        assert fit(stream, **how)[0] == fit(lambda: itertools.islice(endless(), 1000), **how)[0]
    with pytest.raises(ValueError, match="steps_per_epoch must be at most the batches that the stream gives, 44"):
        fit(chunks, steps_per_epoch=45)


@pytest.mark.parametrize("cut", [(0, 2), (0, 5), (0, 44), (1, 7), (1, 44)])
@pytest.mark.parametrize("buffer", [None, 100])
def test_a_stream_is_resumed_in_the_middle(cut, buffer, small_parts, tmp_path):
    path, how = tmp_path / "checkpoint", dict(shuffle_buffer=buffer, average=0.9)
    whole, history = fit(chunks, **how)
    fit(chunks, callbacks=[Cut(*cut)], checkpoint=pm.Checkpoint(path), **how)
    resumed, both = fit(lambda: chunks(33), resume=path, **how)
    assert resumed == whole and both.loss == history.loss and both.accuracy == history.accuracy


def test_a_stream_that_does_not_repeat_is_not_resumed(small_parts, tmp_path):
    path = tmp_path / "checkpoint"
    other = X.copy()
    other[30] ^= 1
    fit(chunks, callbacks=[Cut(0, 7)], checkpoint=pm.Checkpoint(path))
    for stream in (lambda: chunks(x=other), lambda: chunks(y=Y[::-1])):
        with pytest.raises(ValueError, match="resume: the stream does not give the samples that it gave"):
            fit(stream, resume=path)
    with pytest.raises(ValueError, match="resume: the stream (ends before|does not give)"):
        fit(lambda: chunks(x=X[:64], y=Y[:64]), resume=path)
    once = chunks()
    fit(once, epochs=1, callbacks=[Cut(0, 7)], checkpoint=pm.Checkpoint(path))
    with pytest.raises(ValueError, match="resume: the stream"):
        fit(once, epochs=1, resume=path)
    with pytest.raises(ValueError, match="not the same .*shuffle"):
        fit(chunks, epochs=1, resume=path, shuffle_buffer=10)
    with pytest.raises(ValueError, match="not the same .*training data"):
        fit((X, Y), epochs=1, resume=path)


def test_a_stream_diverges_like_arrays(small_parts):
    x = X.astype(np.float32)
    x[300, 2, 2] = np.nan
    with pytest.raises(pm.Diverged) as found:
        fit(lambda: chunks(x=x), epochs=1)
    assert (found.value.epoch, found.value.batch) == (1, 300 // 16 + 1) and found.value.bad_images.tolist() == [300]
    model = made()
    with pytest.raises(pm.Diverged):
        model.fit(lambda: chunks(x=x), batch_size=16, progress=False, optimizer=pm.Adam(0.01))
    before = fit(lambda: chunks(x=X[:288].astype(np.float32), y=Y[:288]), epochs=1)[0]
    assert model.network.param.tobytes() == before


def failing():
    yield X[:100], Y[:100]
    raise RuntimeError("the cable is out")


@pytest.mark.parametrize(
    "stream, error, message",
    [
        (failing, RuntimeError, "the cable is out"),
        (lambda: iter([]), ValueError, "must give at least one chunk"),
        (lambda: [(X[:50], Y[:50]), (X[:50], Y[:49])], ValueError, "chunk 2 labels must have shape"),
        (lambda: [(X[:50], Y[:50]), (X[:50], Y[:50] + 4)], ValueError, "chunk 2 labels must be from 0 to 3"),
        (lambda: [(X[:50], Y[:50]), (X[:50, :7], Y[:50])], ValueError, "chunk 2 inputs must have shape"),
        (lambda: [(X[:50], Y[:50]), (X[:50] / 255, Y[:50])], ValueError, "chunk 2 must be like the first"),
        (lambda: [(X[:50], Y[:50]), 7], ValueError, "chunk 2 must be inputs and labels"),
    ],
)
def test_errors_of_streams(stream, error, message, small_parts):
    with pytest.raises(error, match=message):
        fit(stream)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(data=(X, Y), shuffle_buffer=10), "shuffle_buffer is for a stream"),
        (dict(data=(X, Y), steps_per_epoch=10), "steps_per_epoch is for a stream"),
        (dict(data=chunks, shuffle_buffer=0), "shuffle_buffer must be a whole number"),
        (dict(data=chunks, schedule=pm.OneCycle(0.1)), "needs to know how long the training is: give steps_per_epoch"),
        (dict(data=chunks, sample_weight=np.ones(N)), "sample_weight is for arrays"),
    ],
)
def test_arguments_of_streams(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit(**arguments)


def test_the_bar_of_a_stream(small_parts):
    import io

    screen = io.StringIO()
    fit(chunks, callbacks=[pm.ProgressBar(screen)])
    assert "epoch 2/2" in screen.getvalue() and "%|" not in screen.getvalue()


def test_dask_arrays(small_parts):
    array = pytest.importorskip("dask.array", reason="needs dask")
    expected = fit((X, Y), shuffle=False)[0]
    for x, y in ((array.from_array(X, (100, 4, 8)), array.from_array(Y, 130)), (array.from_array(X, 90), Y)):
        assert fit((x, y))[0] == expected
    model = made()
    model.fit(x, y, epochs=2, batch_size=16, progress=False, optimizer=pm.Adam(0.01), schedule=pm.OneCycle(0.01))
    with pytest.raises(ValueError, match="Dask array"):
        fit(x)


# ---- ahead ----


def test_what_comes_next_is_made_meanwhile():
    """Waiting for a slow source and working overlap."""

    def slow():
        for number in range(6):
            time.sleep(0.05)
            yield number

    started, seen = time.perf_counter(), []
    for number in in_advance(slow()):
        time.sleep(0.05)
        seen.append(number)
    assert seen == list(range(6)) and time.perf_counter() - started < 0.5


def test_a_source_is_closed_when_nobody_wants_more():
    closed = threading.Event()

    def endless():
        try:
            yield from itertools.count(1)
        finally:
            closed.set()

    items = in_advance(endless())
    assert next(items) == 1
    items.close()
    assert closed.wait(5)
