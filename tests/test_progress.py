"""What a training shows: on terminals of any width, in notebooks, in pipes."""

import io
import os
import re
import subprocess
import sys
import termios
import types

import numpy as np
import pytest

import pymnistcnn as pm
from pymnistcnn.progress import bar_of

CODE = """
import numpy as np, pymnistcnn as pm
x, labels = np.random.default_rng(0).standard_normal((4000, 1, 12, 12)), np.arange(4000) % 10
layers = [pm.Conv2d(32, 3, padding="same"), pm.ReLU(), pm.Flatten(), pm.Linear(10)]
pm.Sequential(layers, (1, 12, 12)).fit(x, labels, epochs=2, batch_size=20, validation=(x[:50], labels[:50]), threads=1)
"""
LINE = r"epoch {}/2: loss \d\.\d{{4}}, accuracy \d+\.\d\d%, validation \d+\.\d\d%, [\d,]+ images/s"
LINES = [re.compile(LINE.format(epoch)) for epoch in (1, 2)]


def on_terminal(columns, code=CODE, **environment):
    """What Python code writes to standard error, where that is a terminal."""
    master, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    process = subprocess.Popen([sys.executable, "-P", "-c", code], stderr=terminal, env={**os.environ, **environment})
    os.close(terminal)
    written = b""
    try:
        while data := os.read(master, 1 << 16):
            written += data
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(master)
    assert process.wait(60) == 0
    return written.decode()


def screen_of(written):
    """Each state of each line, as a terminal shows it."""
    return [[state.rstrip() for state in line.split("\r")] for line in written.replace("\r\n", "\n").split("\n")]


@pytest.mark.parametrize("columns", [80, 40, 20])
def test_a_bar_fits_the_terminal(columns):
    *lines, last = screen_of(on_terminal(columns))
    assert last == [""] and len(lines) == 2
    for (*states, line), expected in zip(lines, LINES, strict=True):
        drawn = [state for state in states if state]
        assert expected.fullmatch(line) and len(line) < 80
        assert drawn and max(map(len, drawn)) < columns  # a full line would go on in the next
        assert all(re.match(r"epoch ./2 +\d+%", state) for state in drawn)
        if columns >= 40:
            assert all(re.search(r" \d\d:\d\d left, loss \d\.\d{4}", state) for state in drawn)
        if columns == 80:
            assert all(re.search(r"%\|.{5,}\| .*accuracy .*images/s$", state) for state in drawn)


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["usual", "NO_COLOR", "dumb"])
def test_nothing_is_coloured_or_moves_the_cursor(environment):
    written = on_terminal(80, **environment)
    assert "\x1b" not in written
    if environment.get("TERM") == "dumb":
        first, second = written.splitlines()
        assert LINES[0].fullmatch(first) and LINES[1].fullmatch(second)


def test_a_terminal_of_ascii():
    written = on_terminal(80, PYTHONIOENCODING="ascii")
    assert "#" in written and written.isascii()


@pytest.mark.parametrize("verbose", ["", ", verbose=2"])
def test_a_pipe_has_a_line_an_epoch(verbose):
    code = CODE.replace(", threads=1)", f", threads=1{verbose})")
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    first, second = result.stderr.splitlines()
    assert LINES[0].fullmatch(first) and LINES[1].fullmatch(second) and result.stdout == ""


def test_lines_alone_on_a_terminal():
    written = on_terminal(80, CODE.replace("threads=1", "threads=1, verbose=2"))
    assert "left" not in written and len(written.splitlines()) == 2


def test_where_a_training_is_broken_off():
    stop = "class Stop(pm.Callback):\n def on_slice(self, t): assert t.batch < 100\n"
    code = CODE.replace("\nx,", f"\n{stop}x,").replace("threads=1", "threads=1, callbacks=[Stop()]")
    code = (
        code.replace("pm.Sequential", "try: pm.Sequential") + "except AssertionError: print('stopped', file=sys.stderr)"
    )
    *_, (*states, last), stopped, _ = screen_of(on_terminal(80, "import sys" + code))
    assert re.match(r"epoch 1/2 +\d\d%\|", last) and stopped == ["stopped"]


def test_in_a_notebook(monkeypatch):
    """The cell keeps how it looks at last, as text."""
    shown = []

    class Handle:
        def update(self, data, raw):
            shown.append(data["text/plain"])

    def display(data, raw, display_id):
        assert raw and display_id and data == {"text/plain": ""}
        return Handle()

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stderr", stream)
    exec(CODE, {})
    first, second = shown[-1].split("\n")
    assert LINES[0].fullmatch(first) and LINES[1].fullmatch(second) and stream.getvalue() == ""
    bars = [text.split("\n")[-1] for text in shown if "left" in text]
    assert len(bars) > 4 and all(re.match(r"epoch ./2 +\d+%\|.{5,}\|", bar) and len(bar) < 80 for bar in bars)


def test_time_left_and_speed():
    training = types.SimpleNamespace(
        epoch=0, epochs=9, samples=6000, totals=np.array([0, 0, 0, 1500, 3.0]), loss=0.5, accuracy=0.75, of_classes=True
    )
    shown = bar_of(training, 1500, 79)
    assert shown.startswith("epoch 1/9  25%|{bar:") and shown.endswith(
        "| 00:09 left, loss 0.5000, accuracy 75.00%, 500 images/s"
    )
    assert bar_of(training, 1500, 39) == "epoch 1/9  25%, 00:09 left, loss 0.5000"
    assert bar_of(training, 1500, 10) == "epoch 1/9 "
    training.of_classes = False
    assert "accuracy" not in bar_of(training, 1500, 200) and "{bar:40}" in bar_of(training, 1500, 200)


@pytest.mark.parametrize("arguments, lines", [({"verbose": 0}, 0), ({"verbose": 1}, 1), ({"verbose": 2}, 1), ({}, 1)])
def test_verbose_as_in_keras(arguments, lines, capfd):
    pm.Sequential([pm.Linear(2)], (3,)).fit(np.ones((4, 3)), [0, 1, 0, 1], **arguments)
    assert len(capfd.readouterr().err.splitlines()) == lines


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"verbose": 1, "progress": True}, "give progress=True or verbose=1, not both"),
        ({"verbose": 0, "progress": False}, "give progress=False or verbose=0, not both"),
        ({"verbose": 3}, "verbose must be a whole number from 0 to 2, not 3"),
        ({"verbose": "auto"}, "verbose must be a whole number from 0 to 2, not 'auto'"),
    ],
)
def test_bad_verbose(arguments, message):
    with pytest.raises(ValueError, match=message):
        pm.Sequential([pm.Linear(2)], (3,)).fit(np.ones((4, 3)), [0, 1, 0, 1], **arguments)
