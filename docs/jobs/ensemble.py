"""Train five networks side by side, see which one fails, and let the others answer as one, from one file."""

import pymnistcnn as pm
from pymnistcnn.recipes import Recipe, fast

train, test = pm.datasets.mnist()


def recipe(seed: int) -> Recipe:
    if seed == 3:
        raise ValueError("this one has bad luck")
    return fast(seed=seed)


models = []
for trained in pm.train_many(recipe, range(5), train[:5000], progress=False):
    if trained.error is not None:
        print(f"seed {trained.seed}: {trained.error}")
        continue
    print(f"seed {trained.seed}: {trained.model.score(test):.2%}")
    models.append(trained.model)

pm.Ensemble(models).save("ensemble.safetensors")
together = pm.load("ensemble.safetensors")
print(f"all as one: {together.score(test):.2%}; the first digits:", *together.predict(test.images[:10]))
