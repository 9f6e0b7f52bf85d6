"""Cross-validate settings on the processes of Ray, here two of this machine, which share the pictures."""
# needs: sklearn, ray

from typing import Any, SupportsIndex

import joblib
import numpy as np
import ray
from ray.util.joblib import register_ray
from sklearn.model_selection import GridSearchCV

import pymnistcnn as pm


class Shared(np.ndarray):
    """An array that lies in Ray's memory once. Processes get its reference, and read it there."""

    reference: Any

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return (ray.get, (self.reference,)) if hasattr(self, "reference") else super().__reduce_ex__(protocol)


def shared(array: np.ndarray) -> Shared:
    """Without this, Ray would copy the array for every fit."""
    view = array.view(Shared)
    view.reference = ray.put(array)
    return view


train, test = pm.datasets.mnist()
X, y = train.images[:2000].reshape(2000, -1), train.labels[:2000]

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
register_ray()
model = pm.CNNClassifier(epochs=2, random_state=0, n_jobs=1)
search = GridSearchCV(model, {"learning_rate": [0.003, 0.01]}, cv=2, n_jobs=2)
with joblib.parallel_config("ray", n_jobs=2):
    search.fit(shared(X), y)
ray.shutdown()

for chosen, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{chosen}: {score:.1%}")
print(f"{search.score(test.images[:1000].reshape(1000, -1), test.labels[:1000]):.1%} on others")
