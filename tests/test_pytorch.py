"""The same outputs, gradients and trajectories as PyTorch, where it is installed."""

import numpy as np
import pytest

import pymnistcnn as pm

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
nn = torch.nn
torch.set_num_threads(1)  # two OpenMP runtimes in one process slow each other down

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of the largest value

NETWORKS = {
    "LeNet with tanh": (
        [pm.Conv2d(20, 5), pm.Tanh(), pm.MaxPool2d(2), pm.Conv2d(50, 5), pm.Tanh(), pm.MaxPool2d(2)]
        + [pm.Flatten(), pm.Linear(500), pm.Tanh(), pm.Linear(10)]
    ),
    "three blocks and a small linear": (
        [pm.Conv2d(16, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2)]
        + [pm.Conv2d(32, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2)]
        + [pm.Conv2d(32, 3, padding=1), pm.ReLU(), pm.MaxPool2d(2), pm.Flatten(), pm.Linear(10)]
    ),
    "two convolutions and a large linear": (
        [pm.Conv2d(32, 3), pm.ReLU(), pm.Conv2d(32, 3, stride=2), pm.ReLU(), pm.MaxPool2d(2)]
        + [pm.Flatten(), pm.Linear(625), pm.ReLU(), pm.Linear(10)]
    ),
    "odd ones": (
        [pm.MaxPool2d(3, stride=2, padding=1), pm.Conv2d(6, (3, 2), dilation=(1, 2)), pm.Tanh()]
        + [pm.ReLU(), pm.Conv2d(10, 3, stride=2, groups=2), pm.MaxPool2d((1, 2)), pm.Flatten(), pm.Linear(10)]
    ),
    "batch norm": (
        [pm.Conv2d(8, 3, padding=1, bias=False), pm.BatchNorm2d(), pm.Softplus(), pm.MaxPool2d(2)]
        + [
            pm.Conv2d(8, 3, groups=8, bias=False),
            pm.BatchNorm2d(momentum=None),
            pm.ELU(),
            pm.AvgPool2d(2, ceil_mode=True),
        ]
        + [pm.Conv2d(12, 3, stride=2), pm.LeakyReLU(), pm.BatchNorm2d(affine=False), pm.GlobalAvgPool2d()]
        + [pm.Flatten(), pm.Linear(20, bias=False), pm.BatchNorm1d(), pm.Sigmoid(), pm.Linear(10)]
    ),
    "linear": [pm.Flatten(), pm.Linear(128), pm.ReLU(), pm.Linear(64), pm.ReLU(), pm.Linear(10)],
}


def in_torch(layer, before, after):
    """The PyTorch layer of one of ours, for sample shapes before and after it."""
    options = {name: value for name, value in layer.settings().items() if name not in ("out_channels", "out_features")}
    if isinstance(layer, pm.Conv2d):
        options["padding"] = options["padding"][:2]
        return nn.Conv2d(before[0], after[0], **options)
    if isinstance(layer, pm.Linear):
        return nn.Linear(before[0], after[0], **options)
    if isinstance(layer, (pm.BatchNorm1d, pm.BatchNorm2d)):
        return getattr(nn, type(layer).__name__)(before[0], **options)
    if isinstance(layer, pm.GlobalAvgPool2d):
        return nn.AdaptiveAvgPool2d(1)
    return getattr(nn, type(layer).__name__)(**options)


def pair(name, dtype):
    """Our network and PyTorch's, with the same weights."""
    layers = [type(layer)(**layer.settings()) for layer in NETWORKS[name]]
    ours = pm.Sequential(layers, (1, 28, 28), dtype=dtype, seed=3)
    theirs = nn.Sequential(*map(in_torch, layers, ours.network.shapes, ours.network.shapes[1:])).to(
        getattr(torch, dtype)
    )
    theirs.load_state_dict({name: torch.tensor(weights) for name, weights in ours.state_dict().items()})
    return ours, theirs


def agree(actual, expected, dtype):
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()


@pytest.fixture(scope="module")
def digits():
    train, _ = pm.datasets.mnist()
    return train.images[:60], train.labels[:60]


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_loss_and_gradients(name, digits, isa, dtype):
    ours, theirs = pair(name, dtype)
    x, labels = digits[0][:8, None].astype(dtype) / 255, digits[1][:8]
    tensor = torch.tensor(x, requires_grad=True)
    outputs = theirs(tensor)
    value = nn.functional.cross_entropy(outputs, torch.tensor(labels).long())
    value.backward()

    y, loss = ours.forward(x, isa=isa, threads=1), pm.CrossEntropyLoss()
    agree(y, outputs, dtype)
    assert loss.forward(y, labels, isa=isa, threads=1) == pytest.approx(value.item(), rel=TOLERANCE[dtype])
    agree(ours.backward(loss.backward(), isa=isa, threads=1), tensor.grad, dtype)
    gradients = {f"{i}.{name}": g for i, layer in enumerate(ours.layers) for name, g in layer.gradients.items()}
    parameters = dict(theirs.named_parameters())
    assert list(gradients) == list(parameters)
    for name, parameter in parameters.items():
        agree(gradients[name], parameter.grad, dtype)


@pytest.mark.parametrize("by_file", [False, True], ids=["arrays", "file"])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_go_both_ways(name, by_file, digits, dtype, tmp_path):
    """Buffers too: trained there, loaded here, trained on here, loaded there, the same logits each time."""
    from safetensors.torch import save_file

    ours, theirs = pair(name, dtype)
    x, labels = digits[0][:, None].astype(dtype) / 255, digits[1]
    theirs.train()
    stepper = torch.optim.SGD(theirs.parameters(), lr=0.05)
    for _ in range(3):
        stepper.zero_grad()
        nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(labels).long()).backward()
        stepper.step()
    theirs.eval()
    if by_file:
        save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours.load_state_dict(tmp_path / "theirs.safetensors" if by_file else theirs.state_dict())
    agree(ours.predict_outputs(x, threads=1), theirs(torch.tensor(x)), dtype)

    ours.fit((x, labels), epochs=2, batch_size=16, optimizer=pm.SGD(0.05), progress=False, threads=1)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    theirs.load_state_dict({key: torch.tensor(value) for key, value in ours.state_dict().items()})
    agree(ours.predict_outputs(x, threads=1), theirs(torch.tensor(x)), dtype)


OPTIMIZERS = [
    (pm.SGD(0.05), torch.optim.SGD, {"lr": 0.05}),
    (pm.SGD(0.02, momentum=0.9), torch.optim.SGD, {"lr": 0.02, "momentum": 0.9}),
    (
        pm.SGD(0.02, momentum=0.9, nesterov=True, weight_decay=0.01),
        torch.optim.SGD,
        {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ),
    (pm.Adam(0.001, eps=1e-4), torch.optim.Adam, {"lr": 0.001, "eps": 1e-4}),
    (
        pm.Adam(0.002, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.01),
        torch.optim.Adam,
        {"lr": 0.002, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.01},
    ),
]


@pytest.mark.parametrize(
    "optimizer, theirs_class, options",
    OPTIMIZERS,
    ids=["SGD", "momentum", "nesterov", "Adam", "Adam with decay"],
)
@pytest.mark.parametrize("name", ["three blocks and a small linear", "linear"])
def test_twenty_steps(name, optimizer, theirs_class, options, digits, dtype):
    """Five epochs in the order of the file, in batches of 16, 16, 16 and 12."""
    ours, theirs = pair(name, dtype)
    x, labels = digits[0][:, None].astype(dtype) / 255, digits[1]
    stepper = theirs_class(theirs.parameters(), **options)
    for _ in range(5):
        for inputs, classes in zip(torch.tensor(x).split(16), torch.tensor(labels).long().split(16), strict=True):
            stepper.zero_grad()
            nn.functional.cross_entropy(theirs(inputs), classes).backward()
            stepper.step()
    ours.fit((x, labels), epochs=5, batch_size=16, optimizer=optimizer, shuffle=False, progress=False, threads=1)
    for name, parameter in theirs.named_parameters():
        agree(ours.state_dict()[name], parameter, dtype)
