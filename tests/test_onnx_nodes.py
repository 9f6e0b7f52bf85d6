"""ONNX's own backend tests: those of operators that exist here give the same, or are refused for a reason that the page
on ONNX names."""

import re

import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx")
import onnx_nodes  # noqa: E402 - it needs onnx


@pytest.fixture(scope="module")
def outcomes():
    return onnx_nodes.outcomes()


def test_each_is_the_same_or_refused_for_a_known_reason(outcomes):
    in_scope = {name: message for name, (outside, message) in outcomes.items() if outside is None}
    for name, message in in_scope.items():
        assert message is None or onnx_nodes.reason(message), name
    assert sum(message is None for message in in_scope.values()) >= max(160, 0.99 * len(in_scope))


def test_the_page_lists_them(outcomes):
    page = onnx_nodes.PAGE.read_text()
    version = re.search(r"Of onnx (\S+)'s", page)[1]
    if version != onnx.__version__:
        pytest.skip(f"the page is of onnx {version}, this is {onnx.__version__}")
    assert onnx_nodes.table(outcomes) in page, "run: python tests/onnx_nodes.py"


def test_a_wrong_number_is_found(tmp_path):
    name, model, inputs, outputs = next(test for test in onnx_nodes.tests() if test[0] == "test_relu")
    assert onnx_nodes.outcome(name, model, inputs, outputs, tmp_path) is None
    with pytest.raises(AssertionError):
        onnx_nodes.outcome(name, model, inputs, [outputs[0] + 0.01], tmp_path)
