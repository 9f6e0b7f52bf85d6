"""Writes every figure that people read, from the JSON in measurements/: results.md, its picture, and what stands
between `<!-- figures: NAME -->` and `<!-- end -->` in README.md, docs/index.md, docs/tutorials.md and docs/accuracy.md.

    python benchmarks/results.py            # after `python benchmarks/measure.py`, or after a change in the code
    python benchmarks/results.py --check    # writes nothing; says what differs, and exits with 1 if something does
"""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

import click
from measured import kinds
from page import page
from picture import picture
from texts import written

ROOT = Path(__file__).parents[1]
TEXTS = ("README.md", "docs/index.md", "docs/tutorials.md", "docs/accuracy.md", "docs/distributed.md")


def made(root=ROOT) -> dict[str, str]:
    """All files, by their path, as they should be."""
    measured = kinds(root / "benchmarks" / "measurements")
    files = {"benchmarks/results.md": page(measured), "benchmarks/results.svg": picture(measured)}
    return files | {path: written((root / path).read_text(), measured) for path in TEXTS}


def differences(root=ROOT) -> list[str]:
    """Lines of a diff: what stands there, and what the measurements say."""
    lines = []
    for path, text in made(root).items():
        there = (root / path).read_text() if (root / path).is_file() else ""
        lines += unified_diff(there.splitlines(), text.splitlines(), path, "the measurements", lineterm="", n=0)
    return lines


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Compare, and write nothing.")
def main(check):
    if not check:
        for path, text in made().items():
            (ROOT / path).write_text(text)
    elif lines := differences():
        raise click.ClickException("\n".join([*lines, "to write them anew: python benchmarks/results.py"]))


if __name__ == "__main__":
    main()
