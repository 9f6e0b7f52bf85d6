"""A network of PyTorch comes in, is trained here, goes back, and gives the same answers there."""
# needs: torch

import torch
from torch import nn

import pymnistcnn as pm

torch.manual_seed(0)
net = nn.Sequential(
    *(nn.Conv2d(1, 16, 5, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(16, 32, 3, padding=1), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1152, 10)),
)

model = pm.from_torch(net, rescaling=pm.Rescaling(1 / 255))
train, test = pm.datasets.mnist()
history = model.fit(train[:20_000], epochs=1, batch_size=128, progress=False)
print(f"trained here on 20,000 digits in {history.seconds[0]:.1f} s: accuracy {model.evaluate(test).accuracy:.4f}")

back = model.to_torch()  # takes pixels, as the model does
with torch.no_grad():
    theirs = back(torch.tensor(test.images[:1000, None])).argmax(1).numpy()
print(f"the same answers there for 1,000 digits: {(theirs == model.predict(test.images[:1000])).mean():.0%}")

weights = {name: weight for name, weight in back.state_dict().items() if not name.startswith("rescaling")}
net.load_state_dict(weights)  # the first network has them now, too: the names are PyTorch's
half = {f"module.{name}": weight.half() for name, weight in net.state_dict().items()}
model.load_state_dict(half)  # of half precision, with a prefix
print(f"with weights of half precision: accuracy {model.evaluate(test).accuracy:.4f}")
