"""A Sphinx extension: a page's links to files of the repository, which GitHub follows, lead to GitHub from the site.

A page that is nothing but `{include}` of a file elsewhere is that file, with links as from there.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

DOCS = Path(__file__).parent
ROOT = DOCS.parent
REPOSITORY = "https://github.com/pymnistcnn/pymnistcnn"
INCLUDE = re.compile(r"```\{include\} (\S+)\n```\s*")
LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")


def read(app: Sphinx, page: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(page))
    if path.suffix != ".md":
        return
    text, origin = source[0], path.parent
    if whole := INCLUDE.fullmatch(text):
        included = (origin / whole[1]).resolve()
        text, origin = included.read_text(), included.parent
        app.env.note_dependency(str(included))
    if page == "jobs/README":
        text += "".join(map(job, sorted(path.parent.glob("*.py"))))
    source[0] = LINK.sub(lambda link: led(link, page, path.parent, origin), text)


def led(link: re.Match[str], page: str, here: Path, origin: Path) -> str:
    """One link, or picture: to a page of the site as from `here`, to anything else at GitHub."""
    is_picture, words, target, place = link.groups()
    if "://" in target or target.startswith("mailto:"):
        return link[0]
    to = (origin / target).resolve()
    if not to.exists():
        raise ExtensionError(f"{page}: a link leads to {target}, which is not there")
    if to.is_relative_to(DOCS / "gallery") and to.suffix == ".py":
        to = DOCS / "pages" / f"{to.stem}.rst"  # what sphinx-gallery has made of it
        return f"[{words}]({os.path.relpath(to, here)}{place or ''})"
    if is_picture or (to.is_relative_to(DOCS) and to.suffix == ".md"):
        return f"{is_picture}[{words}]({os.path.relpath(to, here)}{place or ''})"
    if page_of := PAGES.get(to.relative_to(ROOT).as_posix()):
        return f"[{words}]({os.path.relpath(DOCS / page_of, here)}{place or ''})"
    return f"[{words}]({REPOSITORY}/{'tree' if to.is_dir() else 'blob'}/main/{to.relative_to(ROOT)}{place or ''})"


# files elsewhere in the repository that the site has as pages
PAGES = {
    "benchmarks/results.md": "results.md",
    "benchmarks/notes.md": "notes.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "docs/jobs": "jobs/README.md",
}


def job(path: Path) -> str:
    title = path.stem.replace("_", " ").capitalize()
    return f"\n## {title}\n\n```{{literalinclude}} {path.name}\n:language: python\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
