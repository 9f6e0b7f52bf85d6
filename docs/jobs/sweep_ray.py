"""Cross-validate settings on the processes of Ray, here two of this machine."""
# needs: sklearn, ray

import joblib
import ray
from ray.util.joblib import register_ray
from sklearn.model_selection import GridSearchCV

import pymnistcnn as pm

train, test = pm.datasets.mnist()
X, y = train.images[:2000].reshape(2000, -1), train.labels[:2000]

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
register_ray()
model = pm.CNNClassifier(epochs=2, random_state=0, n_jobs=1)
search = GridSearchCV(model, {"learning_rate": [0.003, 0.01]}, cv=2, n_jobs=2)
with joblib.parallel_config("ray", n_jobs=2):
    search.fit(X, y)
ray.shutdown()

for chosen, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{chosen}: {score:.1%}")
print(f"{search.score(test.images[:1000].reshape(1000, -1), test.labels[:1000]):.1%} on others")
