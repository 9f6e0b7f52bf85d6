"""The site, but for building it: its pages are reached, its reference is complete, and an error would end a build."""

import importlib
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import pymnistcnn as pm

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()


def extension(name):
    """One of docs/, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        return importlib.import_module(name)


# ---- what there is ----


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for path in DOCS.rglob("*.md"):
        for entries in re.findall(r"^```\{toctree\}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            names = [line for line in entries.splitlines() if line and not line.startswith(":")]
            listed |= {str((path.parent / name).relative_to(DOCS)) for name in names}
    sources = [path for suffix in ("md", "rst") for path in DOCS.rglob(f"*.{suffix}")]
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in sources if path.parent.name not in IGNORED}
    pages |= {f"pages/{path.stem}" for path in (DOCS / "gallery").glob("*.py")}
    assert listed == pages - {"index"}


IGNORED = ("gallery", "pages")  # what sphinx-gallery reads and makes


def test_the_reference_has_every_public_name():
    modules = ("datasets", "functional", "initializers", "pictures")
    public = {name for name in pm.__all__ if not isinstance(getattr(pm, name), ModuleType)} | pm.LAZY.keys()
    public |= {f"pymnistcnn.{module}.{name}" for module in modules for name in getattr(pm, module).__all__}
    public -= {"pymnistcnn.datasets.Dataset", "plots", "recipes"}  # there as pm.Dataset; modules
    text = "".join(path.read_text() for path in (DOCS / "reference").glob("*.rst"))
    found = re.findall(r"^\.\. auto(?:class|function|exception):: (\S+)", text, re.MULTILINE)
    assert len(found) == len(set(found))
    assert public <= set(found), public - set(found)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        made = target.startswith("pages/")  # by sphinx-gallery, from gallery/
        file = DOCS / f"gallery/{Path(target).stem}.py" if made else page.parent / target
        assert target.startswith("http") or file.exists(), target


def test_the_readme_is_one_screen():
    assert len(README.splitlines()) <= 60
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in program.splitlines() if line]) <= 12
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_an_example_that_fails_ends_the_build():
    conf = extension("conf")
    assert conf.sphinx_gallery_conf["abort_on_example_error"] and "running" in conf.extensions
    pattern = re.compile(conf.sphinx_gallery_conf["filename_pattern"])
    pages = list((DOCS / "gallery").glob("*.py"))
    assert len(pages) >= 9 and all(pattern.search(str(page)) for page in pages)


# ---- how pages are read ----


def at(page, suffix=".md"):
    """An app that knows one page."""
    env = SimpleNamespace(doc2path=lambda name: DOCS / f"{name}{suffix}", note_dependency=lambda path: None)
    return SimpleNamespace(env=env, config=SimpleNamespace(run_pages="yes"))


def test_an_error_on_a_markdown_page_ends_the_build():
    pytest.importorskip("sphinx", reason="needs sphinx")
    running = extension("running")
    good = "```python\nimport os\nx = 1\n```\n\n```python nosuchlibrary\n1 / 0\n```\n\n```python\nassert x == 1\n```\n"
    running.run(at("a-page"), "a-page", [good])
    with pytest.raises(running.ExtensionError, match=r"a-page.md: block 2 raised ZeroDivisionError"):
        running.run(at("a-page"), "a-page", ["```python\nx = 0\n```\n```python\n1 / x\n```\n"])
    running.run(at("a-page", ".rst"), "a-page", ["```python\n1 / 0\n```\n"])


@pytest.mark.parametrize(
    "link, leads",
    [
        ("[a](data.md)", "[a](data.md)"),
        ("[a](data.md#files)", "[a](data.md#files)"),
        ("[a](https://example.org/x)", "[a](https://example.org/x)"),
        ("[a](gallery/first_steps.py)", "[a](pages/first_steps.rst)"),
        ("[a](../benchmarks/results.md)", "[a](results.md)"),
        ("[a](jobs)", "[a](jobs/README.md)"),
        ("[a](../csrc/cpu.c)", "[a](https://github.com/pymnistcnn/pymnistcnn/blob/main/csrc/cpu.c)"),
        ("[a](../csrc)", "[a](https://github.com/pymnistcnn/pymnistcnn/tree/main/csrc)"),
        ("![a](../benchmarks/results.svg)", "![a](../benchmarks/results.svg)"),
    ],
)
def test_links_lead_to_pages_or_to_the_repository(link, leads):
    pytest.importorskip("sphinx", reason="needs sphinx")
    links = extension("repository_links")
    source = [f"See {link}."]
    links.read(at("index"), "index", source)
    assert source == [f"See {leads}."]


def test_a_link_that_leads_nowhere_ends_the_build():
    pytest.importorskip("sphinx", reason="needs sphinx")
    links = extension("repository_links")
    with pytest.raises(links.ExtensionError, match="index: a link leads to nowhere.md, which is not there"):
        links.read(at("index"), "index", ["[a](nowhere.md)"])


def test_a_page_elsewhere_is_taken_whole_with_links_as_from_there():
    pytest.importorskip("sphinx", reason="needs sphinx")
    source = [(DOCS / "results.md").read_text()]
    extension("repository_links").read(at("results"), "results", source)
    assert source[0].startswith("# Results") and "[tutorials](tutorials.md)" in source[0]
    assert "(../benchmarks/results.svg)" in source[0] and "tree/main/benchmarks/measurements" in source[0]


def test_docstrings_become_what_numpydoc_reads():
    pytest.importorskip("sphinx", reason="needs sphinx")
    lines = [
        "Read (n, *shape).", "", "path : a file", "    that is there", "size, on_... : of `a * b`", "",
        "ValueError if not.", "", "Examples", "--------", ">>> f(*x)",
    ]  # fmt: skip
    extension("docstrings").process(None, "function", "f", None, None, lines)
    assert lines == [
        r"Read (n, \*shape).", "", "Parameters", "----------", "path : a file that is there",
        r"size, on\_... : of `a * b`", "", "Notes", "-----", "ValueError if not.", "", "Examples", "--------",
        ">>> f(*x)",
    ]  # fmt: skip
