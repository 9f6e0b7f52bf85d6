"""The code of the pages docs/coming-from-*.md runs, one block after the other."""

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("coming-from-*.md"))
NEEDS = {"scikit-learn": "sklearn"}  # the module that a page is about, where its name is another


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # what theirs says where a page cuts it short
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code(page, tmp_path, monkeypatch):
    about = page.stem.removeprefix("coming-from-")
    pytest.importorskip(NEEDS.get(about, about), reason=f"needs {about}")
    monkeypatch.chdir(tmp_path)
    text, names = page.read_text(), {"__name__": "page"}
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert blocks
    for block in blocks:
        lines_before = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines_before + block[1], page, "exec"), names)  # so that errors name the page's line
