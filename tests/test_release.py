"""What a release says of itself agrees: one version, and what a package index and citations take from it."""

import re
from pathlib import Path

import pytest

import pymnistcnn as pm

ROOT = Path(__file__).parent.parent


def text(name):
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is in the checkout only")
    return path.read_text()


def test_the_citation_is_of_this_version():
    assert re.search(r"^version: (.*)$", text("CITATION.cff"), re.M)[1] == pm.__version__


def test_the_changelog_is_one():
    """As https://keepachangelog.com has it: the newest first, its kinds of changes, each once a version."""
    versions = re.split(r"^## ", text("CHANGELOG.md"), flags=re.M)[1:]
    assert versions[0].startswith("[Unreleased]\n")
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for version in versions:
        assert re.match(r"\[(Unreleased|\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d)\]?\n", version), version.partition("\n")[0]
        found = re.findall(r"^### (.*)$", version, re.M)
        assert found and found == [kind for kind in kinds if kind in found]


def test_annotations_are_in_the_package():
    assert (Path(pm.__file__).parent / "py.typed").exists()
