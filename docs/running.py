"""A Sphinx extension: the Python on Markdown pages runs while the site is built, block after block, as it does in the
tests. An error in one of them ends the build."""

import contextlib
import importlib.util
import io
import re
import sys
import tempfile
import warnings
from pathlib import Path

from sphinx.errors import ExtensionError

TESTS = Path(__file__).parents[1] / "tests"
BLOCK = re.compile(r"^```python( \w+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(app, page, source):
    """All blocks of a page, in a folder of their own; those of another library, ```python torch, where it is there."""
    if Path(app.env.doc2path(page)).suffix != ".md" or app.config.run_pages == "no":
        return
    names = {"__name__": page}
    blocks = [code for of, code in BLOCK.findall(source[0]) if not of or importlib.util.find_spec(of.strip())]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if page == "data" and blocks:
            files_of_the_data_page(Path(folder))
        for number, code in enumerate(blocks, 1):
            with contextlib.redirect_stdout(io.StringIO()):
                try:
                    exec(compile(code, page, "exec"), names)
                except Exception as error:
                    raise ExtensionError(f"{page}.md: block {number} raised {error!r}:\n{code}") from error


def files_of_the_data_page(folder):
    """What docs/data.md names, in small: its test makes the same."""
    sys.path.insert(0, str(TESTS))
    from test_data_page import files

    files(folder)


def setup(app):
    app.add_config_value("run_pages", "yes", "env")
    app.connect("source-read", run)
    return {"parallel_read_safe": True}
