"""The code on pages runs: blocks of Python, and those of PyTorch where it is installed, one after the other."""

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [*sorted(DOCS.glob("coming-from-*.md"))]
PAGES += [DOCS / f"{name}.md" for name in ("distillation", "distributed", "large-data", "onnx", "plots")]
BLOCK = re.compile(r"^```(\w+)( \w+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS = {("python", ""), ("python", "torch"), ("python", "keras"), ("julia", "")}
EXTRAS = {  # what all of a page needs
    "distributed.md": "mpi4py",
    "onnx.md": "onnx",
    "plots.md": "matplotlib",
    "coming-from-scikit-learn.md": "sklearn",
}


def blocks(page):
    """(language, library, code) of each."""
    return [(language, library.strip(), code) for language, library, code in BLOCK.findall(page.read_text())]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # what scikit-learn says where a page cuts it short
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    if page.name in EXTRAS:
        pytest.importorskip(EXTRAS[page.name], reason=f"needs {EXTRAS[page.name]}")
    monkeypatch.chdir(tmp_path)
    names, ran = {}, 0
    for language, library, code in blocks(page):
        assert (language, library) in KINDS
        if language == "python" and (not library or (library == "torch" and importlib.util.find_spec("torch"))):
            exec(compile(code, page.name, "exec"), names)
            ran += 1
    assert ran >= 2 and {language for language, _, _ in blocks(page)} >= {"python"}
