"""PyTorch's networks come in, ours go out, and both compute the same; through ONNX, too."""

import warnings

import numpy as np
import pytest
from onnx_cases import cases, drawn, off_by, samples

import pymnistcnn as pm
from pymnistcnn.architecture import described, layer_of
from pymnistcnn.layers.pooling import Window

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402 - only where it is there

torch.set_num_threads(1)
TOLERANCE = {"float32": 1e-5, "float64": 1e-11}
IN_PYTORCH = [
    (layer, shape)
    for layer, shape in cases()
    if (layer.in_pytorch or isinstance(layer, pm.Rescaling))
    and not (isinstance(layer, Window) and len(layer.padding) == 4)
]
pytestmark = [
    pytest.mark.filterwarnings("ignore::pymnistcnn.DataWarning"),  # of pixels from a normal distribution
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),  # PyTorch, once
]


def theirs(module, x):
    with torch.no_grad():
        return module(torch.tensor(x)).numpy()


@pytest.mark.parametrize("layer, shape", IN_PYTORCH, ids=lambda value: str(value))
def test_every_layer_goes_out_and_comes_in(layer, shape, dtype):
    model = drawn(pm.Sequential([layer_of(described(layer))], shape, dtype=dtype))
    module, x = model.to_torch(), samples(model)
    assert not module.training and list(module.state_dict()) == list(model.state_dict())
    expected = model.predict_outputs(x)
    assert off_by(theirs(module, x), expected) < TOLERANCE[dtype]
    again = pm.from_torch(module, shape)
    assert again.dtype == (model.dtype if model.state_dict() else np.float32)
    if again.dtype == model.dtype:
        np.testing.assert_array_equal(again.predict_outputs(x), expected)


def test_noise_and_augmentation_are_left_out():
    model = pm.Sequential(
        [pm.Rescaling(1 / 255), pm.Augmentation(shift=1), pm.GaussianNoise(1), pm.Conv2d(2, 3)], (1, 5, 5)
    )
    module, x = model.to_torch(), np.random.default_rng(0).integers(0, 256, (2, 1, 5, 5), np.uint8)
    assert list(module._modules) == ["rescaling_0", "0"]
    assert off_by(theirs(module, x), model.predict_outputs(x)) < 1e-6


def lenet():
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh())
    head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 60), nn.Identity(), nn.Tanh(), nn.Linear(60, 10))
    return nn.Sequential(features, nn.Dropout(0.2), head).eval()


@pytest.mark.parametrize(
    "kind, dtype", [("float32",) * 2, ("float64",) * 2, ("bfloat16", "float32"), ("float16", "float32")]
)
def test_nested_and_of_other_types(kind, dtype):
    module = lenet().to(getattr(torch, kind))
    model = pm.from_torch(module)
    assert model.input_shape == (1, 28, 28) and model.dtype == dtype
    x = samples(model)
    assert off_by(model.predict_outputs(x), theirs(module.to(getattr(torch, dtype)), x)) < TOLERANCE[dtype]


def test_a_border_before_a_convolution():
    module = nn.Sequential(nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(1, 2, 3, padding=(1, 0)))
    model = pm.from_torch(module, (1, 6, 6))
    assert model.layers[0].padding == (3, 2, 1, 0)
    x = samples(model)
    assert off_by(model.predict_outputs(x), theirs(module, x)) < 1e-6


def test_a_rescaling_before_it():
    module = lenet()
    x = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), np.uint8)
    scaled = pm.from_torch(module, rescaling=pm.Rescaling(1 / 255))
    assert off_by(scaled.predict_outputs(x), theirs(module, (x / 255).astype(np.float32))) < 1e-5
    with pytest.raises(ValueError, match="rescaling must be a Rescaling"):
        pm.from_torch(module, rescaling=255)


SHARED = nn.Linear(3, 3)
REFUSED = [
    (nn.Linear(3, 2), r"module must be an nn.Sequential, not Linear: others come through ONNX"),
    (nn.Sequential(nn.PReLU(), nn.Linear(3, 2)), r"0 \(PReLU\): there is no such layer here"),
    (
        nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3, padding_mode="reflect"))),
        r"0\.0 \(Conv2d\): padding_mode='reflect'",
    ),
    (nn.Sequential(nn.Linear(3, 2), nn.Softmax(0)), r"1 \(Softmax\): dim must not be 0: samples stay apart"),
    (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(2)),
        r"1 \(AdaptiveAvgPool2d\): output_size must be 1, not 2",
    ),
    (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)),
        r"1 \(BatchNorm2d\): track_running",
    ),
    (nn.Sequential(nn.MaxPool2d(2, return_indices=True), nn.Flatten()), r"0 \(MaxPool2d\): return_indices=True"),
    (nn.Sequential(nn.AvgPool2d(2, divisor_override=3), nn.Flatten()), r"0 \(AvgPool2d\): divisor_override=3"),
    (nn.Sequential(nn.ZeroPad2d(1), nn.ReLU()), r"1 \(ReLU\): ZeroPad2d can only stand before a Conv2d"),
    (nn.Sequential(SHARED, nn.ReLU(), SHARED), r"2 \(Linear\): it is there twice: weights are not shared here"),
    (nn.Sequential(nn.ReLU()), "input_shape must be given"),
    (nn.Sequential(nn.Flatten(), nn.Linear(100, 2)), r"1.weight must have shape|0.weight must have shape"),
]


@pytest.mark.parametrize("module, message", REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_is_refused_by_name(module, message):
    with pytest.raises(ValueError, match=message):
        pm.from_torch(module)


# ---- state dicts ----


@pytest.mark.parametrize("prefix", ["module.", "net.", "_orig_mod.module."])
def test_a_prefix_of_all_names_is_left_out(prefix):
    module = lenet()
    model, other = pm.from_torch(module), pm.Sequential(pm.from_torch(module).to_torch() and fresh(module), (1, 28, 28))
    state = {prefix + name: torch.tensor(weights) for name, weights in model.state_dict().items()}
    other.load_state_dict({name: tensor.half() for name, tensor in state.items()})
    for name, weights in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], weights.astype(np.float16).astype(np.float32))
    with pytest.raises(ValueError, match="the weights do not fit this network: missing"):
        other.load_state_dict({**state, "another.weight": state[f"{prefix}0.weight"]})
    with pytest.raises(ValueError, match="the weights do not fit this network: missing"):
        other.load_state_dict({name if "bias" in name else f"x.{name}": w for name, w in model.state_dict().items()})


def fresh(module):
    return [type(layer)(**layer.settings()) for layer in pm.from_torch(module).layers]


# ---- through ONNX, as PyTorch writes it ----


class Normalized(nn.Module):
    def forward(self, x):
        return (x - 0.1307) / 0.3081


class View(nn.Module):
    def forward(self, x):
        return x.view(x.size(0), -1)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.inside = nn.Sequential(
            *(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()),
            *(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        project = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.skip = nn.Identity() if inputs == outputs else project

    def forward(self, x):
        return torch.relu(self.inside(x) + self.skip(x))


EXPORTED = {
    "lenet": (
        lambda: nn.Sequential(Normalized(), *lenet()[0], nn.MaxPool2d(2), View(), nn.Linear(400, 10)),
        (1, 28, 28),
    ),
    "resnet": (
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), Block(4, 4, 1), Block(4, 8, 2)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)),
        ),
        (3, 12, 12),
    ),
    "activations": (
        lambda: nn.Sequential(
            *(
                nn.Linear(9, 8),
                nn.GELU(),
                nn.Linear(8, 8),
                nn.GELU("tanh"),
                nn.Linear(8, 8),
                nn.SiLU(),
                nn.Linear(8, 8),
            ),
            *(nn.Hardswish(), nn.ELU(0.5), nn.Linear(8, 8), nn.Softplus(2), nn.LeakyReLU(0.2), nn.BatchNorm1d(8)),
            *(nn.Sigmoid(), nn.Linear(8, 4), nn.LogSoftmax(-1)),
        ),
        (9,),
    ),
    "pads": (
        lambda: nn.Sequential(
            *(nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(1, 4, 3), nn.Dropout(), nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
            *(nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.Flatten(), nn.Linear(80, 10)),
        ),
        (1, 13, 13),
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("opset", [12, 17, 20])
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("name", EXPORTED)
def test_what_pytorch_exports(name, folded, opset, tmp_path):
    pytest.importorskip("onnx", reason="needs onnx")
    torch.manual_seed(1)
    make, shape = EXPORTED[name]
    module = make().eval()
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(module, torch.tensor(x), tmp_path / "theirs.onnx", input_names=["x"], opset_version=opset,
                      dynamo=False, do_constant_folding=folded, training=mode, dynamic_axes={"x": [0]})  # fmt: skip
    model = pm.from_onnx(tmp_path / "theirs.onnx")
    assert off_by(model.predict_outputs(x), theirs(module, x)) < 1e-5


@pytest.mark.parametrize(
    "padding, reason", [((0, 1, 1, 0), "both sides alike"), ((2, 2), "at most half of the window")]
)
@pytest.mark.parametrize("kind", [pm.MaxPool2d, pm.AvgPool2d])
def test_padding_that_pytorch_has_not(kind, padding, reason):
    with pytest.raises(ValueError, match=reason):
        pm.Sequential([kind(3, 1, padding)], (2, 6, 6)).to_torch()


@pytest.mark.parametrize("module", [nn.Softmax2d(), nn.LogSoftmax(2), nn.Softmax(-1), nn.Softmax()], ids=str)
def test_softmax_of_pictures(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dim that is left out
        model, x = pm.from_torch(nn.Sequential(module), (3, 4, 5)), np.random.default_rng(0).random((2, 3, 4, 5), "f")
        expected, dy = torch.tensor(x, requires_grad=True), np.random.default_rng(1).random(x.shape, "f")
        y = module(expected)
        y.backward(torch.tensor(dy))
    assert off_by(model.forward(x), y.detach().numpy()) < 1e-6
    assert off_by(model.backward(dy), expected.grad.numpy()) < 1e-6


def test_layers_in_python_stay_here():
    with pytest.raises(ValueError, match=r"PythonLayer\(\) is in Python: it has no form in PyTorch"):
        pm.Sequential([pm.PythonLayer(), pm.Linear(2)], (3,)).to_torch()
