"""Examples in docstrings run and show what they say; every public name has a docstring."""

import doctest
import importlib
import pkgutil

import pytest

import pymnistcnn as pm

MODULES = ["pymnistcnn"] + [f"pymnistcnn.{m.name}" for m in pkgutil.iter_modules(pm.__path__) if m.name != "_native"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("name", [n for n in pm.__all__ if callable(getattr(pm, n))])
def test_public_names_have_an_example(name):
    assert ">>>" in (getattr(pm, name).__doc__ or "")
