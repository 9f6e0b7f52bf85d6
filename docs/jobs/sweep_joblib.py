"""Search settings with two processes of joblib, which share the pictures; a setting that fails is a result, too."""
# needs: sklearn

import warnings

import numpy as np
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import RandomizedSearchCV

import pymnistcnn as pm

train, test = pm.datasets.mnist()
X, y = train.images[:2000].reshape(2000, -1), train.labels[:2000]  # joblib maps what is larger than 1 MB, once for all

settings = {"learning_rate": [0.001, 0.003, 0.01, -1.0], "batch_size": [64]}  # no training takes the last rate
model = pm.CNNClassifier(epochs=2, random_state=0, n_jobs=1)  # a thread each: the processes are two
search = RandomizedSearchCV(model, settings, n_iter=4, cv=2, n_jobs=2, error_score=np.nan, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", FitFailedWarning)
    warnings.filterwarnings("ignore", "One or more of the test scores")
    search.fit(X, y)

for chosen, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{chosen}: {'failed' if np.isnan(score) else f'{score:.1%}'}")
print(f"best: {search.best_params_}, {search.score(test.images[:1000].reshape(1000, -1), test.labels[:1000]):.1%}")
