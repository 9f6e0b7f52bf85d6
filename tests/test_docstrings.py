"""Examples in docstrings run and show what they say; every public name has a docstring."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import pymnistcnn as pm
from pymnistcnn.extras import MissingExtra

MODULES = ["pymnistcnn", *(m.name for m in pkgutil.walk_packages(pm.__path__, "pymnistcnn."))]
MODULES.remove("pymnistcnn._native")
PARTS = [pm.datasets, pm.functional, pm.initializers, pm.metrics, pm.pictures, pm.schedules]
PUBLIC = {f"{part.__name__}.{name}": getattr(part, name) for part in (pm, *PARTS) for name in part.__all__}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except MissingExtra as error:
        pytest.skip(str(error))
    try:
        doctest.testmod(module, raise_on_error=True)
    except doctest.UnexpectedException as error:
        if isinstance(error.exc_info[1], MissingExtra):
            pytest.skip(str(error.exc_info[1]))
        raise error.exc_info[1] from None
    except doctest.DocTestFailure as failure:
        pytest.fail(f"{failure.test.name}: {failure.example.source}got {failure.got}expected {failure.example.want}")


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_an_example(name):
    assert ">>>" in (PUBLIC[name].__doc__ or "")


@pytest.mark.parametrize("name", pm.LAZY)
def test_names_that_need_an_extra_do_too(name):
    try:
        assert ">>>" in getattr(pm, name).__doc__
    except MissingExtra as error:
        pytest.skip(str(error))
    assert name in dir(pm)


def test_all_parts_are_public():
    assert set(PARTS) == {thing for thing in PUBLIC.values() if inspect.ismodule(thing)}


@pytest.mark.parametrize("part", [pm, *PARTS], ids=lambda part: part.__name__)
def test_no_name_is_public_twice(part):
    assert len(part.__all__) == len(set(part.__all__))
