"""Cross-validate settings on the processes of a Dask cluster, here two of this machine: the data are sent once."""
# needs: sklearn, distributed

import dask
import joblib
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

import pymnistcnn as pm

train, test = pm.datasets.mnist()
X, y = train.images[:2000].reshape(2000, -1), train.labels[:2000]

# Dask would delete the copies of what was sent to all. Where each core has a worker, the profile of its code and what
# is looked at every 20 or 100 milliseconds take some 3 % of the core from the fits. And a worker would give back all
# memory at once (64 KiB may stay): what a fit had is there for the next, instead of page by page, 5 % of 0.35 seconds.
dask.config.set(
    {
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.worker.profile.enabled": False,
        "distributed.worker.memory.monitor-interval": "1s",
        "distributed.admin.tick.interval": "1s",
        "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32 << 20,
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 256 << 20,
    }
)


def main() -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        model = pm.CNNClassifier(epochs=2, random_state=0, n_jobs=1)
        search = GridSearchCV(model, {"learning_rate": [0.003, 0.01]}, cv=2)
        with joblib.parallel_config("dask", scatter=[X, y]):
            search.fit(X, y)
    for chosen, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        print(f"{chosen}: {score:.1%}")
    print(f"{search.score(test.images[:1000].reshape(1000, -1), test.labels[:1000]):.1%} on others")


if __name__ == "__main__":  # its processes import this file
    main()
